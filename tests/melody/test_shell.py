"""The shell: JSON lines for programs, a table for people, and exit codes for scripts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from melody.__main__ import EXIT_NOT_READY, main
from melody.training.singer import Singer
from tests.melody.makers import RATE_HZ, put, put_played, random_tune, sing

ROOT = Path(__file__).parents[2]
LINE_KEYS = {"clip", "results", "query", "timingsMs", "error"}
RESULT_KEYS = {
    "trackId",
    "title",
    "artist",
    "confidence",
    "matchType",
    "segmentStartSec",
    "segmentEndSec",
    "transposeSemitones",
    "tempoRatio",
    "audioUrl",
    "contour",
    "debug",
}


def tune_of(number: int) -> Any:
    """The notes of track `number` of `thirty_tunes`."""
    return random_tune(number, 15 + number % 10)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    (folder / "text.wav").write_text("This is no audio.")
    with_rest = np.concatenate([sing(tune_of(8), seconds=5), np.zeros(RATE_HZ, np.float32)])
    return {
        "clean": put(folder / "clean.wav", sing(tune_of(20), Singer(transpose_semitones=2))),
        "rest": put(folder / "rest.wav", np.concatenate([with_rest, sing(tune_of(8), start_s=6, seconds=5)])),
        "text": folder / "text.wav",
        "silence": put(folder / "silence.wav", np.zeros(8 * RATE_HZ, np.float32)),
        "short": put(folder / "short.wav", sing(tune_of(8), seconds=2)),
    }


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_it_works(tmp_path: Path, clips: dict[str, Path]) -> None:
    """Build and search as a person does, each a process of its own."""
    (tmp_path / "library").mkdir()
    put_played(tmp_path / "library" / "Right.wav", tune_of(20), 73)
    put_played(tmp_path / "library" / "Wrong.wav", tune_of(21), 40)
    folders = [str(tmp_path / "library"), str(tmp_path / "index")]

    def run(*arguments: str) -> str:
        command = [sys.executable, "-W", "error", "-m", "melody", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    built = json.loads(run("build", *folders, "--workers", "1"))
    assert (built["tracks"], built["added"], built["failures"]) == (2, 2, [])
    (line,) = run("search", folders[1], str(clips["clean"]), "--json", "--mode", "hum").splitlines()
    assert json.loads(line)["results"][0]["trackId"] == "right"


def test_build_prints_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "library").mkdir()
    put_played(tmp_path / "library" / "one.wav", random_tune(70, 5), 73)
    (tmp_path / "library" / "broken.mp3").write_text("This is no audio.")
    arguments = ["--workers", "1", "--features", str(tmp_path / "features"), "--no-export"]
    assert main(["build", str(tmp_path / "library"), str(tmp_path / "index"), *arguments]) == 0
    (summary,) = lines_of(capsys)
    assert list(summary) == [
        "version",
        "tracks",
        "added",
        "changed",
        "renamed",
        "removed",
        "analysed",
        "failures",
        "audioSeconds",
        "seconds",
        "timesRealTime",
    ]
    assert summary["tracks"] == summary["added"] == 1
    assert [failure["file"] for failure in summary["failures"]] == ["broken.mp3"]
    assert list((tmp_path / "features").rglob("*.npz"))
    assert not (tmp_path / "index" / "meta.json").exists()


def test_build_shows_its_progress_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "library").mkdir()
    put_played(tmp_path / "library" / "one.wav", random_tune(71, 4), 73)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["build", str(tmp_path / "library"), str(tmp_path / "index"), "--workers", "1"]) == 0
    shown = capsys.readouterr()
    assert "0 of 1 tracks" in shown.err
    assert "1 of 1 tracks, 0:00.0 left  one.wav" in shown.err
    assert len(shown.out.splitlines()) == 1


def test_search_answers_a_line_a_clip_in_order_and_goes_on_after_a_bad_one(
    thirty_tunes: Path, clips: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["rest", "text", "silence", "clean", "short"]
    paths = [str(clips[name]) for name in names]
    assert main(["search", str(thirty_tunes / "index"), *paths, "--json", "--mode", "hum"]) == 0
    lines = lines_of(capsys)
    assert [line["clip"] for line in lines] == paths
    assert all(set(line) == LINE_KEYS for line in lines)
    codes = [line["error"] and line["error"]["code"] for line in lines]
    assert codes == [None, "not_audio", "no_melody", None, "too_short"]
    assert [line["results"][:1] and line["results"][0]["trackId"] for line in lines] == [
        "tune_08",
        [],
        [],
        "tune_20",
        [],
    ]
    for line in lines:
        if line["error"]:
            assert set(line["error"]) == {"code", "message", "hint"}
            assert line["query"] is line["timingsMs"] is None
        else:
            assert set(line["query"]) == {"durationSec", "voicedSec", "truncated", "contour"}
            assert line["timingsMs"]["total"] > 0


def test_a_result_has_the_keys_of_the_contract_and_curves_to_draw(
    thirty_tunes: Path, clips: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["search", str(thirty_tunes / "index"), str(clips["rest"]), str(clips["clean"]), "--json", "--mode", "hum"])
    with_rest, clean = lines_of(capsys)
    for result in (*with_rest["results"], *clean["results"]):
        assert set(result) == RESULT_KEYS
        assert result["audioUrl"] is None
        assert set(result["debug"]) == {"faissScore", "melodyDistance"}
        assert set(result["contour"]) == {"hopSec", "query", "match"}
        assert len(result["contour"]["query"]) == len(result["contour"]["match"])
        assert result["segmentStartSec"] < result["segmentEndSec"]
    curve = with_rest["results"][0]["contour"]["query"]
    assert curve[52:58] == [None] * 6
    assert with_rest["query"]["contour"]["semitones"][52:58] == [None] * 6


def test_the_curves_of_a_clean_clip_lie_upon_each_other(
    thirty_tunes: Path, clips: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["search", str(thirty_tunes / "index"), str(clips["clean"]), "--json", "--mode", "hum"])
    (line,) = lines_of(capsys)
    best = line["results"][0]
    assert best["transposeSemitones"] == pytest.approx(2, abs=0.3)
    pairs = zip(best["contour"]["query"], best["contour"]["match"], strict=True)
    apart = np.array([abs(query - match) for query, match in pairs if None not in (query, match)])
    assert len(apart) > 80
    assert (apart < 0.5).mean() > 0.85
    assert np.median(apart) < 0.2


def test_top_k_limits_the_results(
    thirty_tunes: Path, clips: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["search", str(thirty_tunes / "index"), str(clips["clean"]), "--json", "--top-k"]
    for count in (1, 4):
        assert main([*arguments, str(count)]) == 0
        (line,) = lines_of(capsys)
        assert len(line["results"]) == count


def test_people_get_a_table_without_the_unlikely(
    thirty_tunes: Path, clips: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["search", str(thirty_tunes / "index"), str(clips["clean"]), str(clips["text"]), "--mode", "hum"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "Tune 20 (Unknown)" in text
    assert "maybe" not in text
    assert "Use a wav" in text
    assert main([*arguments, "--include-maybe"]) == 0
    assert capsys.readouterr().out.count("maybe") >= 5


def test_people_are_told_when_nothing_matched(
    thirty_tunes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = put(tmp_path / "other.wav", sing(random_tune(203, 15)))
    assert main(["search", str(thirty_tunes / "index"), str(clip)]) == 0
    assert "no match" in capsys.readouterr().out


def test_only_bad_clips_are_exit_1(
    thirty_tunes: Path, clips: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(clips["text"]), str(clips["text"].with_name("missing.wav"))]
    assert main(["search", str(thirty_tunes / "index"), *paths, "--json"]) == 1
    assert [line["error"]["code"] for line in lines_of(capsys)] == ["not_audio", "not_audio"]


def test_a_missing_index_is_exit_3_and_says_what_to_do(
    tmp_path: Path, clips: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(tmp_path / "index"), str(clips["clean"]), "--json"]) == EXIT_NOT_READY == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Library index not built." in shown.err
    assert "build_index" in shown.err


def test_a_missing_library_is_exit_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(tmp_path / "nowhere"), str(tmp_path / "index")]) == EXIT_NOT_READY
    assert "Create the folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["search", "index"],
        ["search", "index", "clip.wav", "--top-k", "0"],
        ["search", "index", "clip.wav", "--mode", "yodel"],
        ["build", "library", "index", "--workers", "none"],
    ],
)
def test_a_wrong_call_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m melody" in capsys.readouterr().err
