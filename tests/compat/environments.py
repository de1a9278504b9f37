"""Virtual environments for the two drivers, and the suites' sources from PyPI, all below `target/compat`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SUITE = Path(__file__).resolve().parent / "suite"
WORK = Path(os.environ.get("COMPAT_DIR", ROOT / "target" / "compat"))

DJANGO = "5.2.19"
PSYCOPG2 = "2.9.13"
DBAPI_COMPLIANCE = "1.15.0"
"""The versions that the recorded baseline was made with."""

_DJANGO_NEEDS = ["asgiref", "sqlparse", "aiosmtpd", "argon2-cffi", "bcrypt", "docutils", "jinja2", "numpy"]
_DJANGO_NEEDS += ["Pillow", "pymemcache", "PyYAML", "redis", "tblib", "tzdata"]
"""Its tests/requirements/py3.txt, less what needs a browser, a C library or a network."""
_PUFF_NEEDS = ["greenlet>=3.2", "tomli>=2; python_version < '3.11'"]


def environment(driver: str, django: str) -> Path:
    """The Python of an environment with the suites' packages, one driver, and that version of Django.

    The candidate's holds neither psycopg2 nor psycopg, so that nothing can fall back on them unseen. The
    package itself is the checkout's, found as an editable install would be.
    """
    packages = [*_DJANGO_NEEDS, *(_PUFF_NEEDS if driver == "puff" else [f"psycopg2-binary=={PSYCOPG2}"])]
    with prepared(f"{driver}-django-{django}", packages) as python:
        paths = [
            SUITE,
            source("Django", django, python),
            source("dbapi-compliance", DBAPI_COMPLIANCE, python),
        ]
        if driver == "puff":
            paths.append(ROOT / "python")
        join(python, "compat", paths)
    return python


@contextlib.contextmanager
def prepared(name: str, packages: list[str]) -> Iterator[Path]:
    """The Python of an environment with these packages, made anew if they are others. Locked meanwhile."""
    folder = WORK / f"venv-{name}-{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    complete = folder / "packages.txt"
    with locked(folder.name):
        if not complete.exists() or complete.read_text() != "\n".join(packages):
            print(f"Making {folder.relative_to(WORK.parent)}", file=sys.stderr)
            venv.create(folder, clear=True, with_pip=True)
            pip(python, "install", *packages)
            complete.write_text("\n".join(packages))
        yield python


def join(python: Path, name: str, lines: Iterable[object]) -> None:
    """Lets an environment find these folders, or run these imports when it starts.

    By a .pth file, because some tests start children with a PYTHONPATH of their own.
    """
    lib = python.parents[1] / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    (lib / "site-packages" / f"{name}.pth").write_text("".join(f"{line}\n" for line in lines))


def source(project: str, version: str, python: Path) -> Path:
    """The unpacked source distribution."""
    folder = WORK / "src" / f"{project}-{version}"
    with locked(folder.name):
        if folder.exists():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=WORK) as name:
            download = Path(name, "download")
            wanted = ["--no-deps", "--no-binary", project, "--dest", str(download), f"{project}=={version}"]
            pip(python, "download", *wanted)
            archive = next(path for path in download.iterdir() if path.suffix in (".gz", ".zip"))
            shutil.unpack_archive(archive, Path(name, "unpacked"))
            next(Path(name, "unpacked").iterdir()).rename(folder)
    return folder


def pip(python: Path, *arguments: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", arguments[0], *quiet, *arguments[1:]], timeout=600, check=True)


class locked:
    """Two runs at once prepare one after the other."""

    def __init__(self, name: str) -> None:
        WORK.mkdir(parents=True, exist_ok=True)
        self._file = (WORK / f"{name}.lock").open("w")

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()
