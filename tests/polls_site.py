"""The example in `examples/django`, somewhere else: what its tests share."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import ROOT, clean_environment, free_port
from support import eventually

EXAMPLE = ROOT / "examples" / "django"
ADMIN = ("admin", "open sesame")
"""Name and password of the superuser."""


def copy_to(folder: Path) -> Path:
    """A copy of the example without what it has left behind when somebody tried it."""
    ignored = shutil.ignore_patterns(".puff", "__pycache__", ".pytest_cache")
    site = Path(shutil.copytree(EXAMPLE, folder, ignore=ignored))
    for left in ("media", "static"):
        shutil.rmtree(site / left, ignore_errors=True)
    return site


def manage(
    site: Path, *arguments: str, command: tuple[str, ...] = (sys.executable, "manage.py"), **variables: str
) -> str:
    """Runs a management command that must succeed; what it printed."""
    done = subprocess.run(
        [*command, *arguments],
        cwd=site,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=900,  # cargo may have to compile
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}{done.stderr}"
    return done.stdout


def fill(site: Path, *sizes: str, **variables: str) -> None:
    """Makes the tables, the superuser and data; of the command's sizes, if none are given."""
    manage(site, "migrate", "-v", "0", **variables)
    secrets = {"DJANGO_SUPERUSER_USERNAME": ADMIN[0], "DJANGO_SUPERUSER_PASSWORD": ADMIN[1]}
    mail = {"DJANGO_SUPERUSER_EMAIL": "admin@example.com"}
    manage(site, "createsuperuser", "--noinput", **secrets, **mail, **variables)
    manage(site, "load_polls", *sizes, **variables)


def cargo() -> tuple[str, ...]:
    """The Rust program, without its arguments."""
    return ("cargo", "run", "--quiet", "--manifest-path", str(EXAMPLE / "Cargo.toml"), "--")


def cargo_environment() -> dict[str, str]:
    """Lets the Rust program use this virtual environment."""
    return {"VIRTUAL_ENV": sys.prefix, "PYO3_PYTHON": sys.executable}


@contextlib.contextmanager
def django_server(site: Path, **variables: str) -> Iterator[str]:
    """Django's own server, by `python manage.py runserver`; its URL."""
    port = free_port()
    log = site / f"django-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=site,
            env=clean_environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        if not eventually(lambda: accepts(port) or process.poll() is not None, 60) or not accepts(port):
            pytest.fail(f"Django's server did not start:\n{log.read_text()}")
        yield f"http://127.0.0.1:{port}"
    finally:
        # Not SIGINT, which programs ignore that a shell has started in the background.
        process.terminate()
        process.wait(30)


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False
