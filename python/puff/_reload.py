"""Which files a program consists of: a supervisor that starts it anew when they change has to know."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from ._greenlet import sleep

_INTERVAL = 1.0
"""How often modules are looked for that have been imported meanwhile, in seconds."""


def files(error: BaseException | None = None) -> list[str]:
    """The source files of all imported modules but the standard library's, and of the traceback of `error`.

    The module that failed to be imported is not among the imported ones, so its file is found in the error.
    """
    found = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    while error is not None:
        if isinstance(error, SyntaxError):
            found.add(error.filename)
        trace = error.__traceback__
        while trace is not None:
            found.add(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    library = sysconfig.get_path("stdlib")
    return sorted(path for path in found if isinstance(path, str) and _is_source(path, library))


def _is_source(path: str, library: str) -> bool:
    if not path.startswith("/"):
        return False  # `<frozen ...>`, `<string>`, and what was compiled into a program
    inside = path.startswith(library + "/") and "-packages/" not in path
    return not inside and Path(path).is_file()


def report(tell: Callable[[list[str]], object]) -> None:
    """Tells the files now, and again whenever modules have been imported; for a greenlet of its own."""
    known = -1
    while True:
        if len(sys.modules) != known:
            known = len(sys.modules)
            tell(files())
        sleep(_INTERVAL)
