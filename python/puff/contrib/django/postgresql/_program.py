"""Settings that name no database are those of the program's."""

from __future__ import annotations

import json
import os
from typing import Any

from puff import global_postgres
from puff.postgres.extensions import parse_dsn

TEST_VARIABLE = "PUFF_DJANGO_TEST_DATABASES"
"""Names of databases by their aliases, as JSON: those of tests, for a server that is started for them."""

_NAMES = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


def name_database(settings: dict[str, Any]) -> None:
    """Fills in where the program's PostgreSQL is, unless `settings` say where theirs is.

    They are changed, and not copied: Django shares one dict between all connections of an alias, and its
    tests write the test database's name there. Starts the private server if there is no URL.

    Raises:
        puff.ServiceError: there is no URL in production, or the private server does not start.
    """
    options = settings["OPTIONS"]
    if any(settings.get(name) for name in _NAMES.values()) or "service" in options:
        return
    for name, value in parse_dsn(global_postgres().dsn()).items():
        if name in _NAMES:
            settings[_NAMES[name]] = value
        else:
            options.setdefault(name, value)


def name_test_database(alias: str, settings: dict[str, Any]) -> None:
    """Puts the test database in the place of another, in a process that tests have started."""
    names = os.environ.get(TEST_VARIABLE)
    if names:  # elsewhere it is asked for each request, in vain
        settings["NAME"] = json.loads(names).get(alias, settings["NAME"])
