"""Django's management commands in the main greenlet of a program, for `puff django`."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys

SCRIPT = "manage.py"


def run(arguments: list[str]) -> None:
    """Runs a command as the project's `manage.py` does, or Django itself where there is none."""
    # The runtime has threads, which a fork would leave behind in the middle of their work: `test --parallel`
    # and whatever else starts processes starts fresh ones.
    multiprocessing.set_start_method("spawn", force=True)
    if os.path.isfile(SCRIPT):
        sys.argv = [SCRIPT, *arguments]
        runpy.run_path(SCRIPT, run_name="__main__")
        return
    from django.core import management

    sys.argv = ["puff django", *arguments]
    management.execute_from_command_line(sys.argv)


def set_up() -> None:
    """Sets Django up with the settings of the project: for a process that is not started by its `manage.py`.

    The script may do more than to name the settings (read a file of secrets, extend the module path), so it
    runs up to the point where it hands over to Django.
    """
    import django
    from django.core import management

    if os.path.isfile(SCRIPT):
        execute = management.execute_from_command_line
        management.execute_from_command_line = lambda argv=None: None
        try:
            runpy.run_path(SCRIPT, run_name="__main__")
        except SystemExit as error:
            if error.code:
                raise
        finally:
            management.execute_from_command_line = execute
    django.setup()
