"""Runs one script with psycopg2 and with this driver, on one server, and compares all it saw."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import pytest

import puff.postgres
import puff.postgres.extensions
import puff.postgres.extras

Run = Callable[..., Any]
AtWork = Callable[[Any, Callable[[], object]], threading.Thread]


class Diary:
    """What a script saw: values, and exceptions as class, text, SQLSTATE and whether they name a cursor."""

    def __init__(self, driver: Any, server: dict[str, Any]) -> None:
        self.driver = driver
        self.extensions = driver.extensions
        self.extras = driver.extras
        self.server = server
        self.seen: list[tuple[str, Any]] = []
        self._open: list[Any] = []

    def connect(self, **parameters: Any) -> Any:
        """A connection, closed when the script ends."""
        made = self.driver.connect(**self.server, **parameters)
        self._open.append(made)
        return made

    def note(self, name: str, what: Any) -> Any:
        """Writes down a value, or what a function returns or raises."""
        if not callable(what) or isinstance(what, type):
            self.seen.append((name, what))
            return what
        try:
            value = what()
        except Exception as error:
            cursor = getattr(error, "cursor", None) is not None
            code = getattr(error, "pgcode", None)
            self.seen.append((name, (type(error).__name__, _plain(str(error)), code, cursor)))
            return None
        self.seen.append((name, value))
        return value

    def end(self) -> None:
        for connection in self._open:
            connection.close()


def _plain(text: str) -> str:
    """Without what names the driver, an address or a place in the server's sources."""
    return re.sub(r"0x[0-9a-f]+", "0x", text).replace("puff.postgres.", "psycopg2.")


def _run(script: Callable[[Diary], None], driver: Any, server: dict[str, Any]) -> list[tuple[str, Any]]:
    diary = Diary(driver, server)
    try:
        script(diary)
    finally:
        diary.end()
    return diary.seen


def compare(script: Callable[[Diary], None], server: dict[str, Any], run: Run) -> None:
    """Both drivers see the same. `run` says where ours runs: in a thread or in a greenlet."""
    theirs = _run(script, psycopg2, server)
    ours = run(_run, script, puff.postgres, server)
    assert [name for name, _ in ours] == [name for name, _ in theirs]
    different = [
        f"{name}\n  ours      {ours_saw!r}\n  psycopg2  {theirs_saw!r}"
        for (name, ours_saw), (_, theirs_saw) in zip(ours, theirs, strict=True)
        if not _alike(ours_saw, theirs_saw)
    ]
    if different:
        pytest.fail("\n".join(different), pytrace=False)


def _alike(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, tuple | list) and isinstance(theirs, tuple | list):
        same_kind = isinstance(ours, list) == isinstance(theirs, list)
        return same_kind and len(ours) == len(theirs) and all(map(_alike, ours, theirs))
    return bool(ours == theirs)
