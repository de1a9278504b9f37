"""pytest as the main greenlet, for the command `pytest`."""

import os
import signal
import sys

from puff import _hub


def run(folder, arguments):
    """Runs pytest in `folder` (None: where we are); returns its exit status."""
    import pytest

    if folder is not None:
        here = os.getcwd()
        os.chdir(folder)
        arguments = [_seen_from(here, argument) for argument in arguments]

    def terminate(signum, frame):
        # The SystemExit that a program gets would be one test's failure, and the next would run.
        _hub.interrupt_root(pytest.exit.Exception("terminated", returncode=128 + signum))

    signal.signal(signal.SIGTERM, terminate)
    sys.argv = ["pytest", *arguments]
    return pytest.console_main()


def _seen_from(here, argument):
    """A path that is only right as seen from `here`, made absolute; other arguments as they are.

    What has neither a slash nor the end of a test file may be the value of an option (`-k name`).
    """
    path, colons, name = argument.partition("::")
    if path.startswith("-") or not ("/" in path or path.endswith(".py")) or os.path.exists(path):
        return argument
    path = os.path.join(here, path)
    return path + colons + name if os.path.exists(path) else argument
