"""What tests of servers, their processes and their users share."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import PUFF, ROOT, clean_environment, run_puff

NOBODY = 65534


def built_example(name: str) -> str:
    """The file of an example of `puff-rs`, built: `cargo run` would wait for other builds each time."""
    cargo = ["--quiet", "--manifest-path", str(ROOT / "Cargo.toml"), "-p", "puff-rs", "--example", name]
    built = subprocess.run(
        ["cargo", "build", "--message-format=json", *cargo],
        env=clean_environment(PYO3_PYTHON=sys.executable),
        stdout=subprocess.PIPE,
        timeout=900,
        check=True,
    )
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return next(str(each["executable"]) for each in messages if each.get("executable"))


@contextlib.contextmanager
def open_folder(owner: int | None = None) -> Iterator[Path]:
    """A project folder that every user may enter; it goes with all that is in it.

    Pytest's own are closed to others, so that for root, whose servers run as somebody else, the data would
    lie outside, and stay.
    """
    folder = Path(tempfile.mkdtemp(prefix="puff-project-", dir="/tmp"))
    folder.chmod(0o755)
    if owner is not None:
        os.chown(folder, owner, owner)
    try:
        yield folder
    finally:
        subprocess.run(
            [PUFF, "db", "stop"],
            cwd=folder,
            env=clean_environment(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        shutil.rmtree(folder)


@contextlib.contextmanager
def open_database_project(app: str) -> Iterator[Path]:
    """A folder with `app` as app.py, whose private PostgreSQL runs.

    So its start is not the first request's time.
    """
    with open_folder() as folder:
        (folder / "app.py").write_text(app)
        started = run_puff(
            "python", "-c", "import puff; puff.global_postgres().query('SELECT 1')", cwd=folder
        )
        assert started.returncode == 0, started.stderr
        yield folder


def eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def processes_of(folder: Path) -> dict[int, str]:
    """The processes whose command line names something in the folder, by their ids."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line and is_alive(int(entry.name)):
                found[int(entry.name)] = line
    return found


def ordinary_user() -> tuple[list[str], dict[str, str], int]:
    """How to run `puff` as an ordinary user: command, environment, user id. Skips where nothing does."""
    if os.getuid() != 0:
        return [str(PUFF)], {}, os.getuid()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root needs the program setpriv to become an ordinary user")
    # The venv's interpreter may lie below /root, and the same version of the system elsewhere.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    environment = {
        "PYTHONPATH": f"{ROOT / 'python'}:{sysconfig.get_path('purelib')}",
        "HOME": "/nonexistent",
        "XDG_RUNTIME_DIR": "",
    }
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            probe = subprocess.run(
                [python, "-c", "import puff._puff, greenlet"],
                cwd="/",
                env=clean_environment(**environment),
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                capture_output=True,
                timeout=60,
                check=False,
            )
        except OSError:
            continue
        if probe.returncode == 0:
            switch = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            return [*switch, python, "-m", "puff"], environment, NOBODY
    pytest.skip("no Python that an ordinary user may run can import puff from this checkout")
