"""Names for PostgreSQL's SQLSTATEs: ``errorcodes.UNIQUE_VIOLATION`` is ``"23505"``.

Classes of codes have names too: ``CLASS_INTEGRITY_CONSTRAINT_VIOLATION`` is ``"23"``. Where two codes have
the same name, the one from the lower class ends with an underscore.

Example:
    >>> from puff.postgres import errorcodes
    >>> errorcodes.lookup("23505")
    'UNIQUE_VIOLATION'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._sqlstates import CLASSES, CONDITIONS

if TYPE_CHECKING:

    def __getattr__(name: str) -> str: ...


def lookup(code: str) -> str:
    """The name of a SQLSTATE, or of a class of them. KeyError if there is none."""
    return _NAMES[code]


def _make_names() -> dict[str, str]:
    names = {code: f"CLASS_{name.upper()}" for code, name in CLASSES.items()}
    names.update({code: name.upper() for code, name in CONDITIONS.items()})
    return names


def _make_constants() -> dict[str, str]:
    constants: dict[str, str] = {}
    for code, name in _NAMES.items():
        if name in constants:
            constants[name + "_"] = constants[name]
        constants[name] = code
    return constants


_NAMES = _make_names()
_CONSTANTS = _make_constants()
globals().update(_CONSTANTS)
__all__ = ["lookup", *_CONSTANTS]
