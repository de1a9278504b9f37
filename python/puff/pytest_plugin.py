"""What pytest knows about Puff wherever the package is installed (entry point `pytest11`).

It leaves projects that do not use Puff alone: nothing of the runtime is imported, nothing started.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from . import __version__

if TYPE_CHECKING:
    from pdb import Pdb

    from .testing import GraphQLClient, ServedProgram


@pytest.fixture
def graphql() -> GraphQLClient:
    """Asks the program's GraphQL schema in process: `graphql.data("{ items { title } }")`.

    `graphql.query` gives an answer with `data` and `errors`, `graphql.subscribe` many, `graphql.plan` the
    layers of a document. `with_bearer`, `with_headers` and `with_context` say what resolvers see, `named`
    chooses a schema with a name. See `puff.testing.GraphQLClient`.
    """
    from .testing import GraphQLClient

    return GraphQLClient()


@pytest.fixture(scope="session")
def puff_server(request: pytest.FixtureRequest) -> Iterator[ServedProgram]:
    """`puff runserver` of this project, in a process of its own: `puff_server.get("/").text`.

    `puff_server.graphql` asks GraphQL over HTTP, `puff_server.websocket` opens WebSockets. With pytest-django
    its database is the test database, where it sees what is committed. See `puff.testing.ServedProgram`.
    """
    from .testing import ServedProgram

    environment: dict[str, str] = {}
    if _tests_django():
        request.getfixturevalue("django_db_setup")
        from .contrib.django.testing import server_environment

        environment = server_environment()
    with ServedProgram(environment=environment) as server:
        yield server


def pytest_report_header(config: pytest.Config) -> str | None:
    """Says so where the tests run inside the runtime."""
    return f"puff: {__version__}, tests run in the main greenlet" if _in_hub() else None


def pytest_collection_finish() -> None:
    """Makes the live servers of Django's tests Puff's, where the database is on Puff's engine."""
    if _tests_django():
        from .contrib.django.testing import choose_live_server

        choose_live_server()


def pytest_enter_pdb(pdb: Pdb) -> None:
    """Leaves Ctrl-C after `continue` to us: it interrupts the test, wherever that waits.

    The debugger would stop where it finds the main thread, which is in the hub if all greenlets wait.
    """
    if _in_hub():
        pdb.nosigint = True  # type: ignore[attr-defined]  # what its parameter of that name sets


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Leaves our frames out of tracebacks, but for `--full-trace`: what went wrong is above or below them."""
    if call.excinfo is None:
        return
    for name, module in list(sys.modules.items()):
        if name.startswith("puff."):
            # Where pytest looks besides a function's own variables. By now all modules are here that have a
            # frame in this traceback.
            vars(module)["__tracebackhide__"] = True


def _in_hub() -> bool:
    """Whether the tests run inside the runtime, and not beside one in the background."""
    hub = sys.modules.get("puff._hub")
    return hub is not None and hub.running() and hub.current_hub().on_thread()


def _tests_django() -> bool:
    """Whether Django is set up with a database on Puff's engine; imports nothing."""
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return False
    database = conf.settings.DATABASES.get("default", {})
    return bool(database.get("ENGINE") == "puff.contrib.django.postgresql")
