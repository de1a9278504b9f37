"""Which driver Django takes: the choice is made once a process, where Django imports it first."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured

from puff.compat.psycopg2 import install


def choose_driver() -> None:
    """Makes Django's PostgreSQL modules use Puff's driver; again is nothing.

    Django takes psycopg 3 wherever it is installed, so it is not to be found for as long as Django looks.

    Raises:
        ImproperlyConfigured: Django has chosen psycopg 3 before.
    """
    install()
    with _without_psycopg3():
        chosen = importlib.import_module("django.db.backends.postgresql.psycopg_any")
    if chosen.is_psycopg3:
        raise ImproperlyConfigured(
            "Django has chosen psycopg 3 before Puff's driver was there. "
            "Import puff.contrib.django.postgresql at the top of the settings."
        )


def import_backend() -> None:
    """Imports Django's own backend with our driver; it looks for one itself, apart from its other modules."""
    with _without_psycopg3():
        importlib.import_module("django.db.backends.postgresql.base")


@contextlib.contextmanager
def _without_psycopg3() -> Iterator[None]:
    missing = object()
    installed = sys.modules.get("psycopg", missing)
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # what makes an import fail
    try:
        yield
    finally:
        if installed is missing:
            del sys.modules["psycopg"]
        else:
            sys.modules["psycopg"] = installed  # type: ignore[assignment]
