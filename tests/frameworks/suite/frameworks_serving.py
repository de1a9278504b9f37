"""Serves an application that is in memory with Puff, in this process: what a framework's own server does."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

_FIRST_PASSED = 3
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def serve(application: Any, *options: str, listener: socket.socket | None = None) -> int:
    """Runs `puff runserver` for the application, on a socket that listens or where the options say."""
    module = types.ModuleType("frameworks_served")
    module.__dict__["application"] = application
    sys.modules[module.__name__] = module
    if listener is not None:
        # As systemd passes sockets.
        descriptor = listener.detach()
        if descriptor != _FIRST_PASSED:
            os.dup2(descriptor, _FIRST_PASSED)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    sys.argv = ["puff", "runserver", "--wsgi", "frameworks_served:application", *options]
    from puff.__main__ import main

    return main()


def in_a_child(work: Callable[[], int]) -> int:
    """Forks a process that does `work`; its id. An application with all that was patched in it goes along."""
    child = os.fork()
    if child == 0:
        _and_end(work)
    return child


def _and_end(work: Callable[[], int]) -> NoReturn:
    status = 1
    # What it says must not come between the lines of the tests.
    log = os.open(os.path.join(os.environ["FRAMEWORKS_FILES"], "frameworks-children.log"), _APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        status = work()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def end(child: int) -> None:
    """Ends a process of `in_a_child`."""
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
