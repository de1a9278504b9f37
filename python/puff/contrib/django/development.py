"""What `puff django runserver` serves, and what it does before: all that Django's own `runserver` does."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand
from django.core.servers.basehttp import get_internal_wsgi_application
from django.db import connections
from django.utils.autoreload import StatReloader, autoreload_started, file_changed

import puff

from ._manage import set_up

log = logging.getLogger("puff.django")

OPTIONS_VARIABLE = "PUFF_DJANGO_RUNSERVER"
"""The command line's flags, for `application`."""
INTERVAL = 1.0
"""How often templates and translations are looked at, in seconds."""

Application = Callable[..., Any]


def application() -> Application:
    """The project's WSGI application, with its static files while `DEBUG` is on; system checks come first.

    Raises:
        django.core.management.base.SystemCheckError: a check has found an error.
        django.core.exceptions.ImproperlyConfigured: `DEBUG` is off and there are no `ALLOWED_HOSTS`.
    """
    options = frozenset(os.environ.pop(OPTIONS_VARIABLE, "").split(","))
    if "no-color" in options:
        os.environ["DJANGO_COLORS"] = "nocolor"
    set_up()
    if not settings.DEBUG and not settings.ALLOWED_HOSTS:
        raise ImproperlyConfigured("You must set settings.ALLOWED_HOSTS if DEBUG is False.")
    _check(BaseCommand(no_color="no-color" in options, force_color="force-color" in options), options)
    served = get_internal_wsgi_application()
    if "reload" in options:
        files = _Files()
        autoreload_started.send(sender=files)
        # Before the first answer: a file changed right after it is one that has changed.
        puff.spawn(_watch, files, dict(files.snapshot_files()))
    wanted = settings.DEBUG or "insecure" in options
    installed = "django.contrib.staticfiles" in settings.INSTALLED_APPS
    if installed and wanted and "nostatic" not in options:
        return StaticFilesHandler(served)  # type: ignore[no-any-return]
    return served  # type: ignore[no-any-return]


def _check(command: BaseCommand, options: frozenset[str]) -> None:
    """Django's checks, and its word on migrations that are still to be made."""
    if "skip-checks" not in options:
        command.stdout.write("Performing system checks...\n\n")
        command.check(display_num_errors=True)
    command.check_migrations()
    for connection in connections.all():
        connection.close()
    command.stdout.write(
        f"Django version {django.get_version()}, using settings {settings.SETTINGS_MODULE!r}"
    )
    sys.stdout.flush()


class _Files(StatReloader):  # type: ignore[misc]
    """What Django wants to hear of beside modules: templates, translations, what a project adds itself.

    Puff's supervisor watches the modules.
    """

    def watched_files(self, include_globs: bool = True) -> Iterator[Path]:
        yield from self.extra_files
        for folder, patterns in self.directory_globs.items():
            for pattern in patterns:
                with contextlib.suppress(OSError):  # it may go while one looks
                    yield from folder.glob(pattern)

    def notify_file_changed(self, path: Path) -> None:
        """Lets those who know such files read them again; with nobody, the worker is replaced."""
        if not any(handled for _, handled in file_changed.send(sender=self, file_path=path)):
            log.info("%s has changed", path)
            os.kill(os.getppid(), signal.SIGHUP)


def _watch(files: _Files, known: dict[Path, float]) -> None:
    """Tells Django of files that are not what was known of them; for a greenlet of its own."""
    while True:
        puff.sleep(INTERVAL)
        seen = puff.spawn_blocking(lambda: dict(files.snapshot_files()))
        for path, time in seen.items():
            if known.get(path, time) != time:
                files.notify_file_changed(path)
        # What is missing may be about to be written anew.
        known.update(seen)
