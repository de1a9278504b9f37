"""Django's tests with Puff: its live servers are Puff's."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import DEFAULT_DB_ALIAS, connections
from django.test import testcases

from puff._live_server import LiveServer
from puff.contrib.django.postgresql._program import TEST_VARIABLE
from puff.postgres.extensions import make_dsn

__all__ = ["LiveServerThread", "use_live_server"]

Application = Callable[..., Any]

ENGINE = "puff.contrib.django.postgresql"


class LiveServerThread:
    """What Django's class of that name is to `LiveServerTestCase` and to pytest-django's `live_server`.

    It is no thread of its own: Puff's server has threads already. See `puff.testing.LiveServer` for where the
    requests run. The database is the test's; what a test has not committed no request sees, so that
    `TransactionTestCase` or `transactional_db` is what live servers need, as ever.
    """

    def __init__(
        self,
        host: str,
        static_handler: Callable[[Application], Application],
        connections_override: dict[str, Any] | None = None,
        port: int = 0,
    ) -> None:
        self.host = host
        self.port = port
        self.is_ready = threading.Event()
        self.error: Exception | None = None
        self.static_handler = static_handler
        self.connections_override = connections_override
        self.daemon = True
        self._server: LiveServer | None = None

    def start(self) -> None:
        """Listens; `error` has what went wrong, if something did."""
        handler = self.static_handler(testcases._MediaFilesHandler(WSGIHandler()))
        try:
            self._server = LiveServer(self._sharing(handler), self.host, self.port)
            self.port = self._server.port
        except Exception as error:
            self.error = error
        self.is_ready.set()

    def terminate(self) -> None:
        """Ends the server."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def join(self, timeout: float | None = None) -> None:
        """Nothing: `terminate` waits."""

    def is_alive(self) -> bool:
        """Whether it serves."""
        return self._server is not None

    def _sharing(self, handler: Application) -> Application:
        """The handler with the connections that it is to share with the test: of SQLite in memory."""
        override = self.connections_override
        if not override:
            return handler

        def application(environ: dict[str, Any], start_response: Any) -> Any:
            for alias, connection in override.items():
                connections[alias] = connection
            return handler(environ, start_response)

        return application


def choose_live_server() -> None:
    """As `use_live_server`, if the default database is on Puff's engine and its settings do not refuse."""
    database = settings.DATABASES.get("default", {})
    chosen = database.get("TEST", {}).get("LIVE_SERVER", "puff")
    if database.get("ENGINE") == ENGINE and chosen == "puff":
        use_live_server()


def use_live_server() -> None:
    """Makes the live servers of this process Puff's: `LiveServerTestCase`'s and pytest-django's fixture.

    Where the tests have a database of `puff.contrib.django.postgresql` that happens by itself, unless its
    settings say `"TEST": {"LIVE_SERVER": "django"}`.

    Example:
        >>> from puff.contrib.django.testing import use_live_server
        >>> use_live_server()
    """
    testcases.LiveServerThread = LiveServerThread
    testcases.LiveServerTestCase.server_thread_class = LiveServerThread


def server_environment() -> dict[str, str]:
    """The variables by which another process of the project finds the test databases of this one."""
    ours = [one for one in connections.all() if one.settings_dict["ENGINE"] == ENGINE]
    found = {TEST_VARIABLE: json.dumps({one.alias: one.settings_dict["NAME"] for one in ours})}
    for one in ours:
        if one.alias == DEFAULT_DB_ALIAS:
            parameters = one.get_connection_params()
            names = ("dbname", "user", "password", "host", "port")
            given = {name: parameters[name] for name in names if parameters.get(name)}
            found["PUFF_POSTGRES_URL"] = make_dsn(**given)
    return found
