"""Settings for Django's tests: SQLite in files, which several processes may open."""

from __future__ import annotations

import os
from pathlib import Path

_FILES = Path(os.environ["FRAMEWORKS_FILES"]) / f"frameworks-{os.getpid()}"
DATABASES = {
    name: {"ENGINE": "django.db.backends.sqlite3", "TEST": {"NAME": f"{_FILES}-{name}.sqlite3"}}
    for name in ("default", "other")
}
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
