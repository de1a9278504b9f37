"""The settings of a project's tests, with the databases and the cache of one side."""

from __future__ import annotations

import importlib
import os
from typing import Any

_SIDES = {
    "psycopg2": ("django.db.backends.postgresql", "django.core.cache.backends.redis.RedisCache"),
    "puff": ("puff.contrib.django.postgresql", "puff.contrib.django.cache.RedisCache"),
}
_engine, _cache = _SIDES[os.environ["PROJECTS_SIDE"]]

if _engine.startswith("puff"):
    importlib.import_module(_engine)  # the driver, before anything can look for psycopg2
_theirs = importlib.import_module(os.environ["PROJECTS_SETTINGS"])
globals().update({name: value for name, value in vars(_theirs).items() if name.isupper()})

_server: dict[str, Any] = {
    "ENGINE": _engine,
    **{name: os.environ[f"PG{name}"] for name in ("HOST", "PORT", "USER", "PASSWORD")},
    "OPTIONS": {},
}
DATABASES = {
    alias: {**settings, **_server, "NAME": f"{os.environ['PROJECTS_SIDE']}_{alias}"}
    for alias, settings in _theirs.DATABASES.items()
}
CACHES = {"default": {"BACKEND": _cache, "LOCATION": os.environ["PROJECTS_REDIS"]}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick ones
