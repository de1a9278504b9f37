"""The exceptions, beside psycopg2's own."""

from __future__ import annotations

import pickle

import psycopg2
import psycopg2.errorcodes
import psycopg2.errors
import psycopg2.extensions
import pytest

from puff import postgres
from puff.postgres import errorcodes, errors, extensions
from puff.postgres._exceptions import class_of, from_native, in_statement


def bases(found: type) -> list[str]:
    return [base.__name__ for base in found.__mro__]


def known_codes() -> list[str]:
    return sorted(value for value in vars(psycopg2.errorcodes).values() if _is_code(value))


def _has_class(code: str) -> bool:
    try:
        psycopg2.errors.lookup(code)
    except KeyError:  # Success, and warnings.
        return False
    return True


def _is_code(value: object) -> bool:
    return isinstance(value, str) and len(value) == 5 and value.isalnum() and value.upper() == value


@pytest.mark.parametrize("code", [code for code in known_codes() if _has_class(code)])
def test_every_sqlstate_has_the_class_it_has_in_psycopg2(code: str) -> None:
    theirs = psycopg2.errors.lookup(code)
    ours = errors.lookup(code)
    assert bases(ours) == bases(theirs)
    assert getattr(errors, theirs.__name__) is ours
    assert pickle.loads(pickle.dumps(ours)) is ours


def test_every_name_in_errorcodes() -> None:
    theirs = {
        name: value
        for name, value in vars(psycopg2.errorcodes).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, str)
    }
    assert {name: getattr(errorcodes, name, None) for name in theirs} == theirs
    for code in theirs.values():
        assert errorcodes.lookup(code) == psycopg2.errorcodes.lookup(code)
    with pytest.raises(KeyError):
        errorcodes.lookup("99999")


@pytest.mark.parametrize("name", [name for name in dir(psycopg2.errors) if name[0].isupper()])
def test_every_name_in_errors(name: str) -> None:
    assert bases(getattr(errors, name)) == bases(getattr(psycopg2.errors, name))


@pytest.mark.parametrize("name", ["QueryCanceledError", "TransactionRollbackError"])
def test_classes_of_extensions(name: str) -> None:
    assert bases(getattr(extensions, name)) == bases(getattr(psycopg2.extensions, name))


def test_unknown_sqlstates_get_the_class_of_their_kind() -> None:
    assert class_of("23ZZZ") is postgres.IntegrityError
    assert class_of("40ZZZ") is extensions.TransactionRollbackError
    assert class_of("ZZZZZ") is postgres.DatabaseError
    with pytest.raises(KeyError):
        errors.lookup("23ZZZ")


FIELDS = {
    "S": "FEHLER",
    "V": "ERROR",
    "C": "23505",
    "M": "duplicate key",
    "D": "Key (id)=(1) already exists.",
    "H": "Take another one.",
    "n": "city_pkey",
    "t": "city",
}


def test_what_the_server_says() -> None:
    error = from_native("db", "ignored", FIELDS)
    assert type(error) is errors.UniqueViolation
    assert error.pgcode == "23505"
    text = "duplicate key\nDETAIL:  Key (id)=(1) already exists.\nHINT:  Take another one.\n"
    assert str(error) == text
    assert error.pgerror == f"FEHLER:  {text}"
    assert error.diag.constraint_name == "city_pkey"
    assert error.diag.severity_nonlocalized == "ERROR"
    assert error.diag.column_name is None
    assert set(dir(psycopg2.extensions.Diagnostics)) <= set(dir(error.diag))


def test_an_error_survives_pickling() -> None:
    error = from_native("db", "", FIELDS)
    error.cursor = object()
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (again.args, again.pgcode, again.pgerror) == (error.args, error.pgcode, error.pgerror)
    assert again.cursor is None
    assert again.diag.sqlstate is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("connect", "OperationalError"),
        ("closed", "InterfaceError"),
        ("io", "OperationalError"),
        ("timeout", "OperationalError"),
        ("protocol", "OperationalError"),
        ("unsupported", "NotSupportedError"),
        ("input", "ProgrammingError"),
    ],
)
def test_errors_that_are_not_the_servers(kind: str, expected: str) -> None:
    error = from_native(kind, "it went wrong")
    assert type(error).__name__ == expected
    assert error.pgcode is None


def test_a_lost_connection_is_recognised_by_its_words() -> None:
    assert str(from_native("io", "reset")).startswith("server closed the connection unexpectedly\n")


def test_where_the_error_is() -> None:
    error = from_native("db", "", {"S": "ERROR", "C": "42601", "M": "syntax error", "P": "10"})
    in_statement(error, None, "SELECT\n\tö FRM x".encode(), "utf_8")
    assert str(error) == "syntax error\nLINE 2:  ö FRM x\n         ^\n".replace("         ^", "          ^")
