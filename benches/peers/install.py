"""Setting up the peers below `target/bench`; each step is skipped if its inputs have not changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import places
from .errors import BenchError
from .generators import require


def install(*, full: bool) -> None:
    """Makes the venv with Puff's wheel and the Rust peers; with `full` also what only the full run needs.

    Raises:
        BenchError: a tool is missing or a step failed.
    """
    require("wrk", *(["h2load"] if full else []))
    places.WORK.mkdir(parents=True, exist_ok=True)
    _venv(full=full)
    _wheel()
    _floors()
    _certificate()
    if full:
        _node()


def _certificate() -> None:
    """For the servers that speak TLS; nobody checks it."""
    if not places.CERTIFICATE.exists():
        made = ["-keyout", str(places.KEY), "-out", str(places.CERTIFICATE)]
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"]
        _step("a certificate", ["openssl", "req", "-x509", *curve, "-subj", "/CN=localhost", *made])


def _venv(*, full: bool) -> None:
    names = ["requirements.txt", *(["requirements-full.txt"] if full else [])]
    files = [places.PEERS / name for name in names]
    stamp = places.WORK / ("venv-full.stamp" if full else "venv.stamp")
    if not (places.BIN / "python").exists():
        _step("a venv", [sys.executable, "-m", "venv", str(places.VENV)])
        stamp.unlink(missing_ok=True)
    if _fresh(stamp, files):
        return
    asked = [word for file in files for word in ("-r", str(file))]
    _step("the Python peers", [*_pip(), *asked])
    _mark(stamp, files)


def _wheel() -> None:
    """Puff itself: the wheel that `PUFF_WHEEL` names, else the one that `make wheel` makes."""
    named = os.environ.get("PUFF_WHEEL")
    if named is None:
        _step("Puff's wheel", ["make", "--no-print-directory", "wheel"])
        wheels = sorted(
            (places.ROOT / "target" / "wheels").glob("*.whl"), key=lambda path: path.stat().st_mtime
        )
        if not wheels:
            raise BenchError("`make wheel` made no wheel")
        wheel = wheels[-1]
    else:
        wheel = Path(named).resolve()
        if not wheel.is_file():
            raise BenchError(f"PUFF_WHEEL: there is no file {wheel}")
    stamp = places.WORK / "wheel.stamp"
    if not _fresh(stamp, [wheel]) or not (places.BIN / "puff").exists():
        _step("Puff", [*_pip(), "--force-reinstall", "--no-deps", str(wheel)])
        _mark(stamp, [wheel])


def _floors() -> None:
    command = ["cargo", "build", "--release", "--locked", "--quiet"]
    manifest = ["--manifest-path", str(places.FLOORS / "Cargo.toml")]
    target = {"CARGO_TARGET_DIR": str(places.FLOORS_TARGET)}
    _step("the Rust peers (the first time some minutes)", [*command, *manifest], target)


def _node() -> None:
    sources = sorted((places.APPS / "node").iterdir())
    stamp = places.WORK / "node.stamp"
    if _fresh(stamp, sources) and places.NODE.exists():
        return
    if shutil.which("npm") is None:
        print("No npm here: the Node peers are left out", file=sys.stderr)
        return
    places.NODE_HOME.mkdir(exist_ok=True)
    for source in sources:
        shutil.copy(source, places.NODE_HOME)
    npm = ["npm", "ci", "--prefix", str(places.NODE_HOME), "--no-audit", "--no-fund", "--loglevel=error"]
    _step("the Node peers", npm)
    _mark(stamp, sources)


def _pip() -> list[str]:
    return [str(places.BIN / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def _step(what: str, command: Sequence[str], extra: Mapping[str, str] | None = None) -> None:
    print(f"Setting up {what}", file=sys.stderr)
    # A make above us must not share its job slots with the make and cargo below.
    inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    try:
        # What tools say is not a result: keep it off the standard output.
        subprocess.run(
            command, cwd=places.ROOT, env={**inherited, **(extra or {})}, stdout=sys.stderr, check=True
        )
    except FileNotFoundError as error:
        raise BenchError(f"{command[0]} is missing: it sets up {what}") from error
    except subprocess.CalledProcessError as error:
        raise BenchError(f"setting up {what} failed with status {error.returncode}") from error


def _fresh(stamp: Path, inputs: Sequence[Path]) -> bool:
    return stamp.exists() and stamp.read_text() == _digest(inputs)


def _mark(stamp: Path, inputs: Sequence[Path]) -> None:
    stamp.write_text(_digest(inputs))


def _digest(inputs: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for path in inputs:
        total.update(path.read_bytes())
    return total.hexdigest()
