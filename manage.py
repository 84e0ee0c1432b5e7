#!/usr/bin/env python
"""Django's commands, among them build_index, search, serve, work and export_openapi."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "searchapp.settings")
    execute_from_command_line(sys.argv)
