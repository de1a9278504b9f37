"""The project `programs/library`: a copy of it with a PostgreSQL of its own, and rows."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from stack import ROOT, Run, end_services
from tools import packages, tools


class Library(Protocol):
    """Calls a function of the project; what it printed."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, function: str, **environment: str) -> str: ...


class _Library:
    def __init__(self, folder: Path, puff: Run) -> None:
        self.folder = folder
        self.environment = {"PYTHONPATH": str(packages(tools()))}
        self._puff = puff

    def __call__(self, function: str, **environment: str) -> str:
        done = self._puff("run", function, cwd=self.folder, env={**self.environment, **environment})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextlib.contextmanager
def open_library(folder: Path, puff: Run, prepare: Callable[[Path], object] = bool) -> Iterator[Library]:
    """A copy of the project below a folder; `prepare` gets that copy before its database is filled."""
    folder = folder / "library"
    shutil.copytree(ROOT / "tests" / "programs" / "library", folder)
    library = _Library(folder, puff)
    try:
        prepare(folder)
        library("filling.fill")
        yield library
    finally:
        end_services(folder)
