"""What belongs to no slice: the workers' signs of life."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """When a worker of a queue last showed that it works."""

    queue = models.CharField(max_length=20, primary_key=True)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.queue} at {self.beat_at}"
