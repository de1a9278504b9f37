"""Django's connection in a GraphQL resolver that borrows the request's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.transaction import TransactionManagementError

from puff.graphql._borrow import lenders
from puff.graphql._loan import BorrowedConnection
from puff.postgres.extras import register_default_jsonb

from .. import _bridge  # noqa: F401  (for context.user, where there is GraphQL)
from . import base

# What of Django's wrapper is about its connection and the transaction on it.
_STATE = (
    "connection",
    "autocommit",
    "in_atomic_block",
    "savepoint_state",
    "savepoint_ids",
    "atomic_blocks",
    "commit_on_exit",
    "needs_rollback",
    "rollback_exc",
    "run_on_commit",
    "run_commit_hooks_on_set_autocommit_on",
    "close_at",
    "closed_in_transaction",
    "errors_occurred",
)


@contextmanager
def lend(borrowed: BorrowedConnection, using: str) -> Iterator[None]:
    """Lets Django's connection `using` be the request's, in the middle of a transaction.

    To Django that is an atomic block that it did not begin: its own blocks are savepoints in it, and it
    refuses to commit or to roll back.
    """
    if using not in connections.settings or not isinstance(connections[using], base.DatabaseWrapper):
        if using != "default":
            raise ImproperlyConfigured(
                f"borrow_db_context(using={using!r}): DATABASES has no such entry with the ENGINE "
                "puff.contrib.django.postgresql"
            )
        yield
        return
    wrapper: Any = connections[using]
    _same_database(wrapper, borrowed)
    missing = object()
    before = {name: getattr(wrapper, name, missing) for name in _STATE}
    wrapper.connection = borrowed
    wrapper.autocommit = False
    wrapper.in_atomic_block = True
    wrapper.savepoint_ids, wrapper.atomic_blocks, wrapper.run_on_commit = [], [], []
    # As in a block that has switched autocommit off: Django would take one with False for a block's end.
    wrapper.commit_on_exit = True
    wrapper.needs_rollback = wrapper.closed_in_transaction = False
    wrapper.close_at = None
    try:
        # As Django prepares each connection.
        register_default_jsonb(conn_or_curs=borrowed, loads=lambda text: text)
        zone = wrapper.timezone_name
        if zone and borrowed.get_parameter_status("TimeZone") != zone:
            with borrowed.cursor() as cursor:
                cursor.execute("SET LOCAL TIME ZONE %s", (zone,))
        yield
        if wrapper.needs_rollback:
            raise TransactionManagementError(
                "an atomic block without a savepoint was left by an exception, and the resolver went on: "
                "what it did is rolled back"
            )
        for entry in wrapper.run_on_commit:
            borrowed.on_commit(partial(_in_django, entry[1]))
    finally:
        for name, value in before.items():
            if value is not missing:
                setattr(wrapper, name, value)


def _in_django(function: Any) -> None:
    """Runs a function after the commit; the connections that it opens are closed after it."""
    try:
        function()
    finally:
        connections.close_all()


def _same_database(wrapper: Any, borrowed: BorrowedConnection) -> None:
    """Refuses to pass one database off as another."""
    info = borrowed.info
    settings = wrapper.settings_dict
    pairs = (
        ("NAME", settings.get("NAME"), info.dbname),
        ("PORT", settings.get("PORT"), info.port),
    )
    for name, wanted, given in pairs:
        if wanted and str(wanted) != str(given):
            raise ImproperlyConfigured(
                f"borrow_db_context: Django's database {wrapper.alias!r} has the {name} {wanted!r}, and the "
                f"program's PostgreSQL is {given!r}; give both the same, or leave out the decorator"
            )


lenders.append(lend)
