"""Django's settings. PostgreSQL and Redis are the program's: private ones, or those that URLs name."""

import os
from pathlib import Path

from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent

# On for development only. With it off, DJANGO_SECRET_KEY and DJANGO_ALLOWED_HOSTS must be set.
DEBUG = os.environ.get("DJANGO_DEBUG", "1") == "1"
SECRET_KEY = "for development only" if DEBUG else os.environ["DJANGO_SECRET_KEY"]
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "").split()

INSTALLED_APPS = [
    "polls",  # before the admin, whose pages for passwords would hide ours
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "polls.middleware.DatabaseAway",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "puff_django_example.urls"
WSGI_APPLICATION = "puff_django_example.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Without addresses they are the program's. A request that finds no free session waits ten seconds for one.
DATABASES = {
    "default": {
        "ENGINE": "puff.contrib.django.postgresql",
        "OPTIONS": {"pool": {"max_size": 20, "timeout": 10}},
    },
}
CACHES = {
    "default": {
        "BACKEND": "puff.contrib.django.cache.RedisCache",
        "KEY_PREFIX": "polls",
        # Without Redis the site is slower, and works: sessions are in the database as well.
        "OPTIONS": {"IGNORE_EXCEPTIONS": True},
    },
}
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_REDIRECT_URL = "polls:index"
LOGOUT_REDIRECT_URL = "polls:index"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("de", _("German"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"

# `collectstatic` puts all files of that kind into one folder. The README says how Rust serves both folders.
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
MEDIA_URL = "/media/"
MEDIA_ROOT = BASE_DIR / "media"

EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
DEFAULT_FROM_EMAIL = "polls@example.com"

# To the log of Puff, in production as well; Django's own handlers would write to the console and to nobody.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"django": {"level": "INFO"}},
}
