"""Tools from PyPI that only few tests use, installed once, below `target/`."""

from __future__ import annotations

import fcntl
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from stack import ROOT

_PACKAGES = ["poetry==2.5.1", "Django==5.2.19"]


def tools() -> Path:
    """A virtual environment with Poetry and Django; the test is skipped where PyPI is out of reach."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    venv = ROOT / "target" / f"test-tools-{version}"
    venv.parent.mkdir(exist_ok=True)
    complete = venv / "packages.txt"
    wanted = "\n".join(_PACKAGES)
    with (venv.parent / f"{venv.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists() or complete.read_text() != wanted:
            make = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(venv)]
            subprocess.run(make, timeout=120, check=True)
            # The environments of `make test-pythons` have no pip; Debian's debug build could not make one.
            own = importlib.util.find_spec("pip") is not None
            has_pip = sys.executable if own else str(ROOT / ".venv" / "bin" / "python")
            pip = [has_pip, "-m", "pip", "--python", str(venv / "bin" / "python")]
            pip += ["install", "--quiet", *_PACKAGES]
            done = subprocess.run(pip, timeout=300, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"pip cannot install {', '.join(_PACKAGES)}: {done.stderr.strip()[-200:]}")
            complete.write_text(wanted)
    return venv


def packages(venv: Path) -> Path:
    """The folder of a virtual environment that modules are imported from."""
    return venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
