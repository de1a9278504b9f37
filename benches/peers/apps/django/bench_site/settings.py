"""A lean Django: no middleware, one PostgreSQL, persistent connections.

DJANGO_DRIVER=psycopg2 hides psycopg 3, so that every server uses the same driver.
"""

import os
import sys
from urllib.parse import urlparse

if os.environ.get("DJANGO_DRIVER") == "psycopg2":
    sys.modules["psycopg"] = None  # Django then falls back to psycopg2

url = urlparse(os.environ["BENCH_PG_URL"])
SECRET_KEY = "bench"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "bench_site.urls"
INSTALLED_APPS = ["polls", "blog"]
if os.environ.get("BENCH_STRAWBERRY"):
    INSTALLED_APPS.append("strawberry_django")
MIDDLEWARE = []
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path[1:],
        "USER": url.username,
        "HOST": url.hostname,
        "PORT": url.port,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": False,
    }
}
