"""Addresses."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from searchapp.api import api

urlpatterns = [
    path("admin/", admin.site.urls),
    path("docs", RedirectView.as_view(pattern_name="v1:openapi-view")),
    path("", api.urls),
]
handler400 = "searchapp.refusals.bad_request"
handler404 = "searchapp.refusals.not_found"
handler500 = "searchapp.refusals.server_error"
