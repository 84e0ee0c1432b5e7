"""Tracks, their segments, the builds of the index, and the keys of those who may start one."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from searchapp.jobs import Job
from searchapp.queue import BUILDS


class Track(models.Model):
    """One track of the current index version."""

    id = models.CharField(max_length=120, primary_key=True)
    title = models.CharField(max_length=200)
    artist = models.CharField(max_length=200)
    path = models.TextField(help_text="below the library's folder")
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField(help_text="bytes")
    duration_s = models.FloatField()

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.title} ({self.artist})"


class Segment(models.Model):
    """Ten seconds of a track: what people and other tools see."""

    id = models.CharField(max_length=140, primary_key=True)
    track = models.ForeignKey(Track, on_delete=models.CASCADE, related_name="segments")
    start_s = models.FloatField()
    duration_s = models.FloatField()

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.id


class IndexBuild(Job):
    """The making of one index version."""

    queue_name = BUILDS
    task = "searchapp.library.tasks.run"

    version = models.CharField(max_length=40, blank=True)
    tracks_done = models.PositiveIntegerField(default=0)
    tracks_total = models.PositiveIntegerField(default=0)
    failures = models.JSONField(default=list, blank=True)
    asked_by = models.CharField(max_length=150, blank=True, help_text="a user, a key, or where it was started")

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                models.Value(1), condition=models.Q(status__in=["queued", "processing"]), name="one_build_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"build of {self.created_at:%Y-%m-%d %H:%M} ({self.status})"


class ApiKey(models.Model):
    """Lets a program do what staff may. Only its hash is kept, so it is shown once."""

    name = models.CharField(max_length=80)
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name
