"""What a file is by its first bytes; its name and what the sender calls it count for nothing."""

from __future__ import annotations

HEAD_BYTES = 64
_SYNC_BITS = 0xE0
_LAYER_BITS = 0x06
_MP4_BRANDS = (b"M4A", b"M4B", b"M4V", b"mp4", b"iso", b"qt ", b"MSNV", b"dash", b"avc1", b"3gp", b"f4a")


def is_audio_container(head: bytes) -> bool:
    """Whether these first bytes are those of wav, mp3, m4a, webm, ogg, flac or aac. What follows may still be none."""
    return (
        (head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE")
        or head[:4] in (b"OggS", b"fLaC", b"\x1a\x45\xdf\xa3", b"ADIF")
        or head[:3] == b"ID3"
        or (head[4:8] == b"ftyp" and head[8:].startswith(_MP4_BRANDS))
        or _is_mpeg_frame(head)
    )


def _is_mpeg_frame(head: bytes) -> bool:
    """The sync word of MPEG audio (layers 1 to 3) or of AAC in ADTS, with fields that mean something."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & _SYNC_BITS != _SYNC_BITS:
        return False
    if head[1] & _LAYER_BITS == 0:
        return head[1] & 0xF0 == 0xF0 and (head[2] >> 2) & 0xF < 13  # ADTS: layer 0, a known sample rate
    version, bitrate, rate = (head[1] >> 3) & 3, head[2] >> 4, (head[2] >> 2) & 3
    return version != 1 and bitrate not in (0, 15) and rate != 3
