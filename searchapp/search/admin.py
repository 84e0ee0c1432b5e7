"""The keeper's view of searches: how they went, never what was sung."""

from __future__ import annotations

from django.contrib import admin

from searchapp.library.admin import ReadOnly
from searchapp.search.models import SearchJob


@admin.register(SearchJob)
class SearchJobAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("created_at", "status", "mode", "attempts", "error_code")
    list_filter = ("status", "mode", "error_code")
    fields = ("created_at", "status", "mode", "top_k", "attempts", "finished_at", "error_code", "timings_ms")
