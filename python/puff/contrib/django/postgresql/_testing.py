"""GraphQL in tests: a request in process uses the connection of the test that asks."""

from __future__ import annotations

import sys
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from puff._services import callers

from . import base


def connection_of_test() -> Any:
    """Django's connection while a test runner has prepared the process, None else.

    So a request finds the test database, sees what the test has not committed, and is rolled back with it. A
    text says why the test has no database.
    """
    utils = sys.modules.get("django.test.utils")
    if utils is None or not hasattr(utils._TestState, "saved_data"):
        return None
    if DEFAULT_DB_ALIAS not in connections.settings:
        return None
    wrapper = connections[DEFAULT_DB_ALIAS]
    if not isinstance(wrapper, base.DatabaseWrapper):
        return None
    try:
        wrapper.ensure_connection()
    except (AssertionError, RuntimeError) as error:
        # Django's SimpleTestCase and pytest-django refuse it, each by an exception of its own.
        return str(error)
    return wrapper.connection


callers.append(connection_of_test)
