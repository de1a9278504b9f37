"""Django, configured once for all tests of what is there for it."""

from __future__ import annotations

import django
from django.conf import settings

settings.configure(
    CACHES={
        "default": {"BACKEND": "puff.contrib.django.cache.RedisCache", "KEY_PREFIX": "tests"},
        "other": {"BACKEND": "puff.contrib.django.cache.RedisCache", "KEY_PREFIX": "tests-*"},
        "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    },
    USE_TZ=True,
)
django.setup()
