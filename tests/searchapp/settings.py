"""The settings of the tests: the product's own, with a data folder for this run alone."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_folder = tempfile.mkdtemp(prefix="searchapp-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
os.environ.update({"ENV_FILE": "none", "DATA_DIR": _folder, "APP_ENV": "development"})

from searchapp.settings import *  # noqa: E402, F403
from searchapp.settings import DATABASES  # noqa: E402

# A file, since the threads of asynchronous views share no memory database.
if "sqlite3" in str(DATABASES["default"]["ENGINE"]):
    DATABASES["default"]["TEST"] = {"NAME": Path(_folder) / "test.sqlite3"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
