"""What people asked, and what was found."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from searchapp.jobs import Job
from searchapp.queue import SEARCHES


class SearchJob(Job):
    """One clip to be searched for. Its id is unguessable and all that a person needs to read the answer."""

    class Mode(models.TextChoices):
        SONG_CLIP = "song_clip"
        HUM = "hum"

    queue_name = SEARCHES
    task = "searchapp.search.tasks.run"

    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.SONG_CLIP)
    top_k = models.PositiveSmallIntegerField(default=10)
    client = models.CharField(max_length=64, help_text="keyed hash of the address, to count by")
    query = models.JSONField(null=True, blank=True, help_text="what was heard")
    index_version = models.CharField(max_length=40, blank=True)
    timings_ms = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [models.Index(fields=["client", "created_at"]), models.Index(fields=["status"])]

    def __str__(self) -> str:
        return f"search of {self.created_at:%Y-%m-%d %H:%M} ({self.status})"


class SearchHit(models.Model):
    """A match stored with its job, as it was then: the library may change."""

    job = models.ForeignKey(SearchJob, on_delete=models.CASCADE, related_name="hits")
    rank = models.PositiveSmallIntegerField()
    track_id = models.CharField(max_length=120)
    match_type = models.CharField(max_length=12)
    result = models.JSONField(help_text="as the API gives it, without the audio's address")

    class Meta:
        ordering: ClassVar = ["rank"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["job", "rank"], name="one_hit_a_rank")]

    def __str__(self) -> str:
        return f"{self.rank}. {self.track_id}"
