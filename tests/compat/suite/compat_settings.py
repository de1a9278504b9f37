"""Django's settings for its own suite: two databases on the private server, our test runner.

$COMPAT_ENGINE says how the driver comes in: `stock` is Django's backend, with psycopg2 or with ours in its
place; `puff` is our backend.
"""

from __future__ import annotations

import os

_engine = os.environ["COMPAT_ENGINE"]

DATABASES = {
    alias: {
        "ENGINE": "django.db.backends.postgresql" if _engine == "stock" else "puff.contrib.django.postgresql",
        "NAME": f"compat_{alias}",
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ["PGPORT"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"],
        "TEST": {"LIVE_SERVER": "django"},  # its tests look into its own
    }
    for alias in ("default", "other")
}
if _redis := os.environ.get("COMPAT_REDIS_URL"):
    # The name that its tests look for; with our driver it is our cache.
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": _redis}}
    if os.environ["COMPAT_DRIVER"] == "puff":
        from django.core.cache.backends import redis

        from puff.contrib.django.cache import RedisCache

        redis.RedisCache = RedisCache
SECRET_KEY = "django_tests_secret_key"  # two tests look for it
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "compat_runner.Runner"
