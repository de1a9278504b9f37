"""Settings of the project that tests of `puff.contrib.django` copy."""

import os

import puff
import puff.contrib.django.postgresql
from puff.postgres.extensions import parse_dsn

_program = parse_dsn(puff.global_postgres().dsn())
DATABASES = {
    "default": {
        "ENGINE": "puff.contrib.django.postgresql",
        "NAME": _program["dbname"],
        **{name.upper(): _program.get(name, "") for name in ("user", "password", "host", "port")},
    },
    "file": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}
DATABASES["replica"] = {**DATABASES["default"], "HOST": "replica.example.org"}
DATABASES["archive"] = {**DATABASES["default"], "NAME": "archive"}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.postgres",
    "shelf",
]
ALLOWED_HOSTS = ["*"]
SECRET_KEY, *SECRET_KEY_FALLBACKS = os.environ.get("SHELF_KEYS", "of a test").split(",")
SESSION_ENGINE = f"django.contrib.sessions.backends.{os.environ.get('SHELF_SESSIONS', 'db')}"
CACHES = {"default": {"BACKEND": "puff.contrib.django.cache.RedisCache"}}
CSRF_TRUSTED_ORIGINS = ["https://shop.example.org", "https://*.example.com"]
if "SHELF_TOKENS" in os.environ:
    PUFF_GRAPHQL_AUTHENTICATE = "members.by_token"
USE_TZ = os.environ.get("SHELF_USE_TZ", "1") == "1"
TIME_ZONE = "Europe/Zurich"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
