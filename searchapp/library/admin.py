"""The keeper's view of the library."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from searchapp.library import services
from searchapp.library.models import ApiKey, IndexBuild, Track


class ReadOnly:
    """Rows that the index leads."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        return False


@admin.register(Track)
class TrackAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("title", "artist", "duration_s", "path")
    search_fields = ("title", "artist", "path")


@admin.register(IndexBuild)
class IndexBuildAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("created_at", "status", "tracks_done", "tracks_total", "asked_by", "version")
    list_filter = ("status",)


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "created_at", "revoked_at")
    readonly_fields = ("name", "created_at", "revoked_at")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # `manage.py create_api_key` shows a new key once; here it would be lost

    @admin.action(description="Revoke the chosen keys")
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        revoked = services.revoke_api_keys([key.pk for key in keys])
        messages.success(request, f"{revoked} revoked.")
