"""The exceptions of the driver: PEP 249's, with what psycopg2 adds, and one class for each SQLSTATE.

What the server reports becomes the class of its SQLSTATE, which is also one of PEP 249's: a duplicate key is
`errors.UniqueViolation` and so an `IntegrityError`. ``str(error)`` is the server's message with its position
in the statement, details and hints, as psql prints it.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from ._sqlstates import CONDITIONS

__all__ = [
    "SQLSTATES",
    "DataError",
    "DatabaseError",
    "Diagnostics",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "QueryCanceledError",
    "TransactionRollbackError",
    "Warning",
    "class_of",
    "from_native",
    "in_statement",
]

_HOME = "puff.postgres"


class Warning(Exception):
    """PEP 249's class for important warnings. The driver raises none: notices go to `connection.notices`."""

    __module__ = _HOME


class Error(Exception):
    """Base of all errors of the driver.

    ``pgcode`` is the SQLSTATE and ``pgerror`` the whole message with its severity; both are None if the error
    is not the server's. ``cursor`` is the cursor whose statement failed, if there was one. Errors can be
    pickled; ``cursor`` and ``diag`` stay behind, as with psycopg2.
    """

    __module__ = _HOME
    pgcode: str | None = None
    pgerror: str | None = None
    cursor: Any = None
    _fields: dict[str, str] | None = None

    @property
    def diag(self) -> Diagnostics:
        """The fields of the server's message, each None if it was not sent."""
        return Diagnostics(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, {"pgerror": self.pgerror, "pgcode": self.pgcode}


class InterfaceError(Error):
    """The driver was used wrongly, such as a cursor that is already closed."""

    __module__ = _HOME


class DatabaseError(Error):
    """Base of the errors that have to do with the database."""

    __module__ = _HOME


class DataError(DatabaseError):
    """A value is wrong: out of range, division by zero, not valid for its type."""

    __module__ = _HOME


class OperationalError(DatabaseError):
    """Not under the programmer's control: no connection, no memory, cancelled, shut down."""

    __module__ = _HOME


class IntegrityError(DatabaseError):
    """A constraint was violated."""

    __module__ = _HOME


class InternalError(DatabaseError):
    """The server's state does not allow it, such as a statement in a transaction that has failed."""

    __module__ = _HOME


class ProgrammingError(DatabaseError):
    """The statement or the call is wrong: syntax, unknown table, number of parameters."""

    __module__ = _HOME


class NotSupportedError(DatabaseError):
    """The server or the driver cannot do this."""

    __module__ = _HOME


class QueryCanceledError(OperationalError):
    """The statement was cancelled, by a time-out or by request."""

    __module__ = f"{_HOME}.extensions"


class TransactionRollbackError(OperationalError):
    """The transaction was rolled back for the sake of another one (deadlock, serialization): try again."""

    __module__ = f"{_HOME}.extensions"


class Diagnostics:
    """What the server said about an error, field by field. Every attribute is a string, or None if unsent."""

    __slots__ = ("_fields",)
    __module__ = f"{_HOME}.extensions"

    def __init__(self, error: Error) -> None:
        if not isinstance(error, Error):
            raise TypeError(f"The argument must be an Error, not {type(error).__name__}")
        self._fields = error._fields or {}

    severity: str | None
    severity_nonlocalized: str | None
    sqlstate: str | None
    message_primary: str | None
    message_detail: str | None
    message_hint: str | None
    statement_position: str | None
    internal_position: str | None
    internal_query: str | None
    context: str | None
    schema_name: str | None
    table_name: str | None
    column_name: str | None
    datatype_name: str | None
    constraint_name: str | None
    source_file: str | None
    source_line: str | None
    source_function: str | None


def _publish_fields() -> None:
    letters = {
        "severity": "S",
        "severity_nonlocalized": "V",
        "sqlstate": "C",
        "message_primary": "M",
        "message_detail": "D",
        "message_hint": "H",
        "statement_position": "P",
        "internal_position": "p",
        "internal_query": "q",
        "context": "W",
        "schema_name": "s",
        "table_name": "t",
        "column_name": "c",
        "datatype_name": "d",
        "constraint_name": "n",
        "source_file": "F",
        "source_line": "L",
        "source_function": "R",
    }

    def field(letter: str) -> property:
        return property(lambda self: self._fields.get(letter))

    for name, letter in letters.items():
        setattr(Diagnostics, name, field(letter))


_publish_fields()

# PEP 249's class by the first two characters of the SQLSTATE; what is not listed is a DatabaseError.
_BASES: dict[str, type[DatabaseError]] = {
    code: base
    for base, codes in {
        DataError: "22",
        IntegrityError: "23",
        InternalError: "24 25 2B 2D 2F 38 39 3B F0 P0 XX",
        NotSupportedError: "0A",
        OperationalError: "08 26 27 28 34 53 54 55 57 58 HV",
        ProgrammingError: "20 21 3D 3F 42 44",
        TransactionRollbackError: "40",
    }.items()
    for code in codes.split()
}


def _make_sqlstates() -> dict[str, type[DatabaseError]]:
    made: dict[str, type[DatabaseError]] = {}
    for code, condition in CONDITIONS.items():
        if code[:2] in ("00", "01"):
            continue  # Success and warnings are not errors.
        name = "".join(word.capitalize() for word in condition.split("_"))
        # Routines written in other languages repeat conditions of the SQL ones; psycopg2 marks them so.
        if code[:2] in ("38", "39") and any(known.__name__ == name for known in made.values()):
            name += "Ext"
        if name == "InternalError":
            name += "_"
        base = QueryCanceledError if code == "57014" else _BASES.get(code[:2], DatabaseError)
        body = {"__module__": f"{_HOME}.errors", "__doc__": f"SQLSTATE {code}, {condition}."}
        made[code] = type(name, (base,), body)
    return made


SQLSTATES = _make_sqlstates()
"""SQLSTATE -> exception class."""


def class_of(sqlstate: str) -> type[DatabaseError]:
    """The class for a SQLSTATE; for one that is not known, PEP 249's class for its kind."""
    return SQLSTATES.get(sqlstate) or _BASES.get(sqlstate[:2], DatabaseError)


_BROKEN = (
    "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n"
)
_BY_KIND: dict[str, type[Error]] = {
    "input": ProgrammingError,
    "unsupported": NotSupportedError,
}


def from_native(kind: str, message: str, fields: dict[str, str] | None = None) -> Error:
    """The exception for an error of the Rust half.

    ``kind`` is ``db`` for what the server reports, with ``fields`` by their letters in the protocol; else
    ``connect``, ``closed``, ``io``, ``timeout``, ``protocol``, ``unsupported`` or ``input``.

    Example:
        >>> from_native("db", "no", {"S": "ERROR", "C": "23505", "M": "no"}).pgcode
        '23505'
    """
    if kind == "db" and fields is not None:
        error: Error = class_of(fields.get("C", ""))()
        error.pgcode = fields.get("C")
        error._fields = fields
        _describe(error, fields, None)
        return error
    if kind == "io":
        # Programs look for these words to learn that a connection is gone.
        message = f"{_BROKEN}\tbefore or while processing the request: {message}"
    if kind == "closed":
        return InterfaceError("connection already closed")
    error = _BY_KIND.get(kind, OperationalError)(_line(message))
    if kind == "io":
        error.pgerror = error.args[0]
    return error


def in_statement(error: Error, cursor: Any, statement: bytes, codec: str) -> None:
    """Notes on an error which cursor and statement it belongs to, and where in the statement it is."""
    error.cursor = cursor
    fields = error._fields
    if fields is not None and "P" in fields:
        _describe(error, fields, statement.decode(codec, "replace"))


def _line(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _describe(error: Error, fields: dict[str, str], statement: str | None) -> None:
    message = fields.get("M", "") + "\n"
    if "P" in fields:
        message += _excerpt(statement, fields["P"])
    elif "p" in fields:
        message += _excerpt(fields.get("q"), fields["p"])
    for title, letter in (("DETAIL", "D"), ("HINT", "H"), ("QUERY", "q"), ("CONTEXT", "W")):
        if letter in fields:
            message += f"{title}:  {fields[letter]}\n"
    error.args = (message,)
    error.pgerror = f"{fields.get('S', 'ERROR')}:  {message}"


_WIDTH = 60
_MARGIN = 10


def _excerpt(statement: str | None, position: str) -> str:
    """The line of the statement with the error and a mark under it, cut to the screen as psql does."""
    if statement is None or not position.isdigit():
        return ""
    at = int(position) - 1
    if not 0 <= at <= len(statement):
        return ""
    before = statement[:at].replace("\r\n", " \n").replace("\r", "\n")
    start = before.rfind("\n") + 1
    end = min(
        (i for i in (statement.find("\n", at), statement.find("\r", at)) if i >= 0), default=len(statement)
    )
    text = statement[start:end].replace("\t", " ")
    columns = [0]
    for character in text:
        columns.append(columns[-1] + _columns(character))
    mark, left, right = at - start, 0, len(text)
    if columns[right] > _WIDTH:
        if columns[mark] + _MARGIN <= _WIDTH:
            while columns[right] > _WIDTH:
                right -= 1
        else:
            while columns[mark] + _MARGIN < columns[right]:
                right -= 1
            while columns[right] - columns[left] > _WIDTH:
                left += 1
    prefix = f"LINE {before.count(chr(10)) + 1}: " + ("..." if left else "")
    suffix = "..." if right < len(text) else ""
    indent = " " * (len(prefix) + columns[mark] - columns[left])
    return f"{prefix}{text[left:right]}{suffix}\n{indent}^\n"


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
