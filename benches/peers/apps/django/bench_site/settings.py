"""A lean Django: no middleware, one PostgreSQL, persistent connections.

DJANGO_DRIVER=psycopg2 hides psycopg 3, which Django would take; DJANGO_DRIVER=puff is Puff's engine.
DJANGO_POOL=1 makes a pool of the connections, where the driver has one.
"""

import os
import sys
from urllib.parse import urlparse

driver = os.environ.get("DJANGO_DRIVER")
if driver == "psycopg2":
    sys.modules["psycopg"] = None  # Django then falls back to psycopg2

url = urlparse(os.environ["BENCH_PG_URL"])
SECRET_KEY = "bench"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "bench_site.urls"
if driver == "puff":
    import puff.contrib.django.postgresql  # noqa: F401  # chooses the driver

INSTALLED_APPS = ["polls", "blog"]
if os.environ.get("BENCH_STRAWBERRY"):
    INSTALLED_APPS.append("strawberry_django")
MIDDLEWARE = []
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {
    "default": {
        "ENGINE": "puff.contrib.django.postgresql" if driver == "puff" else "django.db.backends.postgresql",
        "NAME": url.path[1:],
        "USER": url.username,
        "HOST": url.hostname,
        "PORT": url.port,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": False,
    }
}
if os.environ.get("DJANGO_POOL"):
    DATABASES["default"].update(CONN_MAX_AGE=0, OPTIONS={"pool": {"min_size": 4, "max_size": 16}})
