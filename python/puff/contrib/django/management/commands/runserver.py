"""`python manage.py runserver` of a project that has the app: Puff's server, in the place of this process."""

from __future__ import annotations

import os
import sys

from django.contrib.staticfiles.management.commands.runserver import Command as Runserver


class Command(Runserver):  # type: ignore[misc]
    """Becomes `puff django runserver`; called from code (`call_command`, `testserver`) it is Django's own."""

    help = "Serves the project with Puff, for development: loads changed code anew, serves static files."

    def run_from_argv(self, argv: list[str]) -> None:
        """Replaces this process, so that the server has it from its start."""
        sys.stdout.flush()
        sys.stderr.flush()
        # `manage.py` may be in another folder than the working one, which Python has put on the path.
        path = os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", "puff", "django", *argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": path})
