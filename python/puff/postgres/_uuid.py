"""UUIDs: text to the server and back, until `register_uuid` is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from .._native import native
from . import _types
from ._adapters import ISQLQuote, register_adapter

__all__ = ["UUID_adapter", "register_uuid"]


class UUID_adapter:
    """Writes a ``uuid.UUID``."""

    def __init__(self, uuid: UUID) -> None:
        self._uuid = uuid

    def __conform__(self, protocol: Any) -> Any:
        return self if protocol is ISQLQuote else None

    def getquoted(self) -> bytes:
        """The UUID as a literal."""
        return b"'%b'::uuid" % str(self._uuid).encode()

    def __str__(self) -> str:
        return f"'{self._uuid}'::uuid"


def _parse(text: str | None, cursor: Any) -> UUID | None:
    return UUID(text) if text else None


def register_uuid(oids: int | Sequence[int] | None = None, conn_or_curs: Any = None) -> native.Typecaster:
    """Lets ``uuid.UUID`` be a parameter and be read, in the whole process or on `conn_or_curs`.

    `oids` are that of the type, or those of the type and its array, if not PostgreSQL's own. Returns the
    type's caster.
    """
    oid, array_oid = 2950, 2951
    if isinstance(oids, int):
        oid = oids
    elif oids:
        oid, array_oid = oids
    caster = _types.new_type((oid,), "UUID", _parse)
    _types.register_type(caster, conn_or_curs)
    _types.register_type(_types.new_array_type((array_oid,), "UUID[]", caster), conn_or_curs)
    register_adapter(UUID, UUID_adapter)
    return caster
