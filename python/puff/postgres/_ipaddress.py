"""Network addresses: text to the server and back, until `register_ipaddress` is called."""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Sequence
from typing import Any

from .._native import native
from . import _types
from ._adapters import ISQLQuote, QuotedString, adapt, register_adapter

__all__ = ["Inet", "register_inet", "register_ipaddress"]


class Inet:
    """Marks text to be sent as `inet`: ``Inet("192.168.0.1/24")``."""

    def __init__(self, addr: str | None) -> None:
        self.addr = addr
        self._conn: Any = None

    def __conform__(self, protocol: Any) -> Any:
        return self if protocol is ISQLQuote else None

    def prepare(self, conn: Any) -> None:
        """Remembers the connection the text is quoted for."""
        self._conn = conn

    def getquoted(self) -> bytes:
        """The address as a literal."""
        text = adapt(self.addr)
        if self._conn is not None and hasattr(text, "prepare"):
            text.prepare(self._conn)
        quoted: bytes = text.getquoted()
        return quoted + b"::inet"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.addr!r})"

    def __str__(self) -> str:
        return str(self.addr)


def register_inet(oid: int | Sequence[int] | None = None, conn_or_curs: Any = None) -> native.Typecaster:
    """Reads `inet` as `Inet`. Deprecated, as in psycopg2: `register_ipaddress` gives what has methods."""
    warnings.warn("the inet adapter is deprecated, it's not very useful", DeprecationWarning, stacklevel=2)
    plain, array = (oid, 1041) if isinstance(oid, int) else oid or (869, 1041)
    caster = _types.new_type((plain,), "INET", lambda text, cursor: Inet(text) if text else None)
    _types.register_type(caster, conn_or_curs)
    _types.register_type(_types.new_array_type((array,), "INETARRAY", caster), conn_or_curs)
    return caster


def _interface(text: str | None, cursor: Any) -> Any:
    return None if text is None else ipaddress.ip_interface(text)


def _network(text: str | None, cursor: Any) -> Any:
    return None if text is None else ipaddress.ip_network(text)


def _adapt(address: Any) -> QuotedString:
    return QuotedString(str(address))


def register_ipaddress(conn_or_curs: Any = None) -> None:
    """Reads `inet` and `cidr`, and arrays of them, as interfaces and networks of ``ipaddress``; writes these.

    In the whole process, or on `conn_or_curs`; writing always in the whole process.
    """
    for oid, array_oid, name, parse in ((869, 1041, "INET", _interface), (650, 651, "CIDR", _network)):
        caster = _types.new_type((oid,), name, parse)
        _types.register_type(caster, conn_or_curs)
        _types.register_type(_types.new_array_type((array_oid,), f"{name}ARRAY", caster), conn_or_curs)
    for kind in (
        ipaddress.IPv4Interface,
        ipaddress.IPv6Interface,
        ipaddress.IPv4Network,
        ipaddress.IPv6Network,
    ):
        register_adapter(kind, _adapt)
