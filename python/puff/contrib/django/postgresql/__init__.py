"""A database `ENGINE` for Django: its PostgreSQL backend on Puff's driver, for greenlets.

    DATABASES = {"default": {"ENGINE": "puff.contrib.django.postgresql", "NAME": "shop"}}

Importing this package puts the driver in psycopg2's place, for all of the process. Django loads an `ENGINE`
late: where `django.contrib.postgres` is among the installed apps, import the package in the settings, list it
before that app, or set `PUFF_PSYCOPG2`.

Raises `ImproperlyConfigured` when Django has chosen psycopg 3 before.
"""

from __future__ import annotations

from ._choice import choose_driver

choose_driver()
