"""`poetry run cargo ...`: cargo with the project's Python exposed to the build and to the binary.

In the `pyproject.toml` of the Python half of a Rust program:

```toml
[tool.poetry.scripts]
cargo = "puff.poetry_plugins:cargo"

[tool.puff]
cargo = "../program"  # only where Cargo.toml is neither here nor in a folder above
```

Nothing here is Poetry's alone. Any tool that makes scripts of entry points can use it, and
`python -m puff.poetry_plugins run` does the same without any script.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

# What a script made of our entry point contains, whoever made it.
_ENTRY_POINT = b"puff.poetry_plugins"

# The commands of cargo that take `--manifest-path`, as typed.
_PACKAGE_COMMANDS = frozenset(
    [
        "add",
        "b",
        "bench",
        "build",
        "c",
        "check",
        "clean",
        "clippy",
        "d",
        "doc",
        "fetch",
        "fix",
        "fmt",
        "generate-lockfile",
        "metadata",
        "nextest",
        "package",
        "pkgid",
        "publish",
        "r",
        "remove",
        "rm",
        "run",
        "rustc",
        "rustdoc",
        "t",
        "test",
        "tree",
        "update",
        "vendor",
    ]
)

# Cargo's options before the command that have their value in the next argument.
_OPTIONS_WITH_VALUE = frozenset(["--color", "--config", "--explain", "-C", "-Z"])


def cargo() -> NoReturn:
    """Runs cargo with the arguments in `sys.argv[1:]`, in place of this process.

    Signals and the exit status are therefore cargo's. The build and the binary see this interpreter and its
    virtual environment; see `environment`. The Rust project is the one in the working directory or above it,
    or the one that `[tool.puff] cargo` in the nearest `pyproject.toml` names.

    Raises:
        SystemExit: one line on stderr and status 2, if cargo is not found or the configuration is wrong.

    Example:
        ```toml
        [tool.poetry.scripts]
        cargo = "puff.poetry_plugins:cargo"
        ```
    """
    try:
        directory = Path.cwd()
        variables = environment(os.environ, directory)
        program = find_cargo(variables)
        arguments = with_manifest(sys.argv[1:], configured_manifest(directory))
        # What was printed before must not be lost with this process, nor printed twice.
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(program, ["cargo", *arguments], variables)
    except ConfigurationError as error:
        message = str(error)
    except OSError as error:
        message = f"cannot run cargo: {error}"
    print(f"cargo: error: {message}", file=sys.stderr)
    sys.exit(2)


class ConfigurationError(Exception):
    """What the user has to correct before cargo can run; the text is one line."""


def environment(variables: Mapping[str, str], directory: Path) -> dict[str, str]:
    """The variables that cargo gets: `variables`, with this interpreter's place among them.

    Args:
        variables: What to start from. A `PYO3_PYTHON` in it stays: somebody wants another interpreter.
        directory: The working directory.

    Returns:
        A copy. `PYO3_PYTHON` is the interpreter to build against, `VIRTUAL_ENV` the environment whose
        packages the binary imports, and the folder with the nearest `pyproject.toml` leads `PYTHONPATH`.

    Example:
        ```python
        subprocess.run(["maturin", "build"], env=environment(os.environ, Path.cwd()))
        ```
    """
    # LD_LIBRARY_PATH is left alone: cargo points what it runs to libpython (puff-rs links it into the target
    # folder), while the folder of a Python's libraries can hold others that break cargo, as Conda's does.
    found = dict(variables)
    found.setdefault("PYO3_PYTHON", sys.executable)
    if sys.prefix != sys.base_prefix:
        found["VIRTUAL_ENV"] = sys.prefix
    project = _python_project(directory)
    if project is not None:
        rest = [path for path in found.get("PYTHONPATH", "").split(os.pathsep) if path]
        folder = str(project.parent)
        found["PYTHONPATH"] = os.pathsep.join([folder, *(path for path in rest if path != folder)])
    return found


def find_cargo(variables: Mapping[str, str]) -> str:
    """The path of the real cargo: the first on PATH that is no script of ours, else rustup's.

    Raises:
        ConfigurationError: there is none.
    """
    # Scripts are told by what they contain, not by the folder they lie in: with several environments on PATH
    # each would skip only its own, and they would call each other for ever.
    home = Path(variables.get("CARGO_HOME") or Path(variables.get("HOME", "/")) / ".cargo")
    folders = [Path(folder or ".") for folder in variables.get("PATH", os.defpath).split(os.pathsep)]
    for folder in [*folders, home / "bin"]:
        candidate = folder / "cargo"
        if candidate.is_file() and os.access(candidate, os.X_OK) and not _is_ours(candidate):
            return str(candidate)
    raise ConfigurationError("cargo is not installed, or not on PATH (https://rustup.rs installs it)")


def _is_ours(candidate: Path) -> bool:
    try:
        with candidate.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return False
    return start.startswith(b"#!") and _ENTRY_POINT in start


def with_manifest(arguments: Sequence[str], manifest: Path | None) -> list[str]:
    """The arguments with `--manifest-path`, where the command takes it and none is given.

    Args:
        arguments: What follows `cargo` on the command line.
        manifest: The `Cargo.toml` to name, or None to let cargo look for it.
    """
    given = list(arguments)
    own = given[: given.index("--")] if "--" in given else given
    named = any(argument.split("=", 1)[0] == "--manifest-path" for argument in own)
    position = _command_position(own)
    if manifest is None or named or position is None or own[position] not in _PACKAGE_COMMANDS:
        return given
    return [*given[: position + 1], "--manifest-path", str(manifest), *given[position + 1 :]]


def _command_position(arguments: Sequence[str]) -> int | None:
    skip = False
    for position, argument in enumerate(arguments):
        if skip:
            skip = False
        elif argument in _OPTIONS_WITH_VALUE:
            skip = True
        elif not argument.startswith(("-", "+")):  # `+nightly` is rustup's
            return position
    return None


def configured_manifest(directory: Path) -> Path | None:
    """The `Cargo.toml` that `[tool.puff] cargo` names, or None where nothing is configured.

    The nearest `pyproject.toml` from `directory` upwards counts; a relative path starts at its folder and may
    name the `Cargo.toml` or its folder.

    Raises:
        ConfigurationError: the file is not TOML, the value is not text, or there is no `Cargo.toml`.
    """
    project = _python_project(directory)
    if project is None:
        return None
    value = _setting(project)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"{project}: tool.puff.cargo: {value!r} is not a path")
    path = (project.parent / value).resolve()
    manifest = path if path.name == "Cargo.toml" else path / "Cargo.toml"
    if not manifest.is_file():
        raise ConfigurationError(f"{project}: tool.puff.cargo: there is no {manifest}")
    return manifest


def _setting(project: Path) -> Any:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        content = toml.loads(project.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TOML's and Unicode's errors are ValueErrors
        raise ConfigurationError(f"{project}: {' '.join(str(error).split())}") from error
    tool = content.get("tool")
    puff = tool.get("puff") if isinstance(tool, dict) else None
    return puff.get("cargo") if isinstance(puff, dict) else None


def _python_project(directory: Path) -> Path | None:
    return next((file for file in _upwards(directory, "pyproject.toml") if file.is_file()), None)


def _upwards(directory: Path, name: str) -> Iterator[Path]:
    return (folder / name for folder in (directory, *directory.parents))


if __name__ == "__main__":
    cargo()
