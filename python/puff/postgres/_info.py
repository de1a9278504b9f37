"""`ConnectionInfo`: what `connection.info` tells about a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._dsn import parse_dsn
from ._exceptions import InterfaceError

if TYPE_CHECKING:
    from ._connection import connection

__all__ = ["ConnectionInfo"]

_OK, _BAD = 0, 1
_UNKNOWN = 4


class ConnectionInfo:
    """Where a connection leads and how it is. Of a closed connection little is known: None, 0 or False.

    Example:
        >>> import puff
        >>> from puff.postgres import connect
        >>> connection = connect(puff.global_postgres().dsn())
        >>> connection.info.dbname, connection.info.server_version >= 140000
        ('puff', True)
        >>> connection.close()
    """

    __slots__ = ("_connection",)
    __module__ = "puff.postgres.extensions"

    def __init__(self, connection: connection) -> None:
        self._connection = connection

    def _known(self, name: str) -> Any:
        connection = self._connection
        return None if connection.closed else connection._session.info.get(name)

    @property
    def dbname(self) -> str | None:
        """The database."""
        dbname: str | None = self._known("dbname")
        return dbname

    @property
    def user(self) -> str | None:
        """Who is connected."""
        user: str | None = self._known("user")
        return user

    @property
    def password(self) -> str | None:
        """The password that was given; an empty string if none was."""
        password: str | None = self._known("password")
        return None if self._connection.closed else password or ""

    @property
    def host(self) -> str | None:
        """The server's name, or the directory of its socket."""
        host: str | None = self._known("host")
        return host

    @property
    def port(self) -> int | None:
        """The server's port."""
        port = self._known("port")
        return None if port is None else int(port)

    @property
    def options(self) -> str | None:
        """The command-line options that were sent to the server."""
        options: str | None = self._known("options")
        return None if self._connection.closed else options or ""

    @property
    def dsn_parameters(self) -> dict[str, str]:
        """The parameters of the connection without the password. InterfaceError if it is closed."""
        connection = self._connection
        if connection.closed:
            raise InterfaceError("connection already closed")
        found = parse_dsn(connection._dsn)
        for name in ("user", "dbname", "host", "port", "options"):
            value = connection._session.info.get(name)
            if value is not None:
                found[name] = str(value)
        found.pop("password", None)
        return found

    @property
    def status(self) -> int:
        """0 if the connection is open, 1 if not (libpq's CONNECTION_OK and CONNECTION_BAD)."""
        return _BAD if self._connection.closed else _OK

    @property
    def transaction_status(self) -> int:
        """The transaction's state at the server: one of `extensions.TRANSACTION_STATUS_*`."""
        return self._connection.get_transaction_status()

    def parameter_status(self, name: str) -> str | None:
        """A parameter that the server reports, such as ``TimeZone``; None if it does not."""
        connection = self._connection
        return None if connection.closed else connection._session.parameter(name)

    @property
    def protocol_version(self) -> int:
        """The protocol's version: 3."""
        return 0 if self._connection.closed else 3

    @property
    def server_version(self) -> int:
        """The server's version as a number: 180006 for 18.6."""
        connection = self._connection
        return 0 if connection.closed else connection._session.server_version

    @property
    def error_message(self) -> str | None:
        """Why the connection cannot be used; None if it can."""
        return "connection is closed\n" if self._connection.closed else None

    @property
    def socket(self) -> int:
        """The socket's file descriptor; -1 if there is none."""
        connection = self._connection
        return -1 if connection.closed else connection._session.fileno()

    @property
    def backend_pid(self) -> int:
        """The server's process; 0 if there is none."""
        connection = self._connection
        return 0 if connection.closed else connection._session.backend_pid

    @property
    def needs_password(self) -> bool:
        """Whether the server asked for a password and there was none; then there is no connection."""
        return False

    @property
    def used_password(self) -> bool:
        """Whether a password was given."""
        return bool(self._known("password"))

    @property
    def ssl_in_use(self) -> bool:
        """Whether the connection is encrypted."""
        return bool(self._known("ssl_in_use"))

    def ssl_attribute(self, name: str) -> str | None:
        """A fact about the encryption, such as ``protocol``; None if it is not known."""
        found = self._known("ssl_attributes") or {}
        value: str | None = found.get(name)
        return value

    @property
    def ssl_attribute_names(self) -> list[str]:
        """The names that `ssl_attribute` knows."""
        return list(self._known("ssl_attributes") or {})
