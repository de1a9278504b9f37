"""UUIDs: text to the server and back, until `register_uuid` is called."""

from __future__ import annotations

import uuid as _uuid
from collections.abc import Sequence
from typing import Any

from .._native import native
from . import _types
from ._adapters import ISQLQuote, register_adapter

__all__ = ["UUID", "UUIDARRAY", "UUID_adapter", "register_uuid"]


class UUID_adapter:
    """Writes a ``uuid.UUID``."""

    def __init__(self, uuid: _uuid.UUID) -> None:
        self._uuid = uuid

    def __conform__(self, protocol: Any) -> Any:
        return self if protocol is ISQLQuote else None

    def getquoted(self) -> bytes:
        """The UUID as a literal."""
        return b"'%b'::uuid" % str(self._uuid).encode()

    def __str__(self) -> str:
        return f"'{self._uuid}'::uuid"


def _parse(text: str | None, cursor: Any) -> _uuid.UUID | None:
    return _uuid.UUID(text) if text else None


UUID = _types.new_type((2950,), "UUID", _parse)
UUIDARRAY = _types.new_array_type((2951,), "UUID[]", UUID)


def register_uuid(oids: int | Sequence[int] | None = None, conn_or_curs: Any = None) -> native.Typecaster:
    """Lets ``uuid.UUID`` be a parameter and be read, in the whole process or on `conn_or_curs`.

    `oids` are that of the type, or those of the type and its array, if not PostgreSQL's own. Returns the
    type's caster.
    """
    caster, array = UUID, UUIDARRAY
    if oids:
        oid, array_oid = (oids, 2951) if isinstance(oids, int) else oids
        caster = _types.new_type((oid,), "UUID", _parse)
        array = _types.new_array_type((array_oid,), "UUID[]", caster)
    _types.register_type(caster, conn_or_curs)
    _types.register_type(array, conn_or_curs)
    register_adapter(_uuid.UUID, UUID_adapter)
    return caster
