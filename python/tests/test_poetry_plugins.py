"""What `puff.poetry_plugins` decides before cargo takes over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from puff.poetry_plugins import (
    ConfigurationError,
    configured_manifest,
    environment,
    find_cargo,
    with_manifest,
)

SCRIPT = "#!{python}\nimport sys\nfrom puff.poetry_plugins import cargo\nsys.exit(cargo())\n"
PRINTS = '#!/bin/sh\necho "$VIRTUAL_ENV|$PYO3_PYTHON|$PYTHONPATH|$*"\nexit 7\n'


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def run(path: str, cwd: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The entry point as a script calls it."""
    return subprocess.run(
        [sys.executable, "-m", "puff.poetry_plugins", *arguments],
        cwd=cwd,
        env={"PATH": path, "HOME": "/nonexistent", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_environment_of_cargo(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    inside = tmp_path / "pkg"
    inside.mkdir()
    found = environment({"PYTHONPATH": f"/lib{os.pathsep}{tmp_path}"}, inside)
    assert found["PYO3_PYTHON"] == sys.executable
    assert found["PYTHONPATH"] == f"{tmp_path}{os.pathsep}/lib"
    if sys.prefix != sys.base_prefix:
        assert found["VIRTUAL_ENV"] == sys.prefix
    assert environment({"PYO3_PYTHON": "/mine"}, inside)["PYO3_PYTHON"] == "/mine"


def test_scripts_of_ours_are_no_cargo(tmp_path: Path) -> None:
    """Two environments on PATH, each with the script, would call each other for ever."""
    for name in ("a", "b"):
        executable(tmp_path / name / "cargo", SCRIPT.format(python=sys.executable))
    real = executable(tmp_path / "c" / "cargo", PRINTS)
    (tmp_path / "0" / "cargo").mkdir(parents=True)
    path = os.pathsep.join(str(tmp_path / name) for name in ("0", "a", "b", "c"))
    assert find_cargo({"PATH": path}) == str(real)
    # Where PATH has none, rustup's folder may.
    executable(tmp_path / "home" / ".cargo" / "bin" / "cargo", PRINTS)
    only_ours = {"PATH": str(tmp_path / "a"), "HOME": str(tmp_path / "home")}
    assert find_cargo(only_ours) == str(tmp_path / "home" / ".cargo" / "bin" / "cargo")
    with pytest.raises(ConfigurationError, match="not installed"):
        find_cargo({"PATH": str(tmp_path / "a"), "HOME": "/nonexistent"})


def test_cargo_replaces_the_process(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    executable(tmp_path / "bin" / "cargo", PRINTS)
    done = run(str(tmp_path / "bin"), tmp_path, "run", "--", "a b", VIRTUAL_ENV="")
    virtual = sys.prefix if sys.prefix != sys.base_prefix else ""
    assert done.stdout == f"{virtual}|{sys.executable}|{tmp_path}|run -- a b\n"
    assert done.returncode == 7


def test_without_cargo_it_is_one_line(tmp_path: Path) -> None:
    done = run("/nonexistent", tmp_path, "build")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "cargo: error: cargo is not installed, or not on PATH (https://rustup.rs installs it)\n"
    )


def test_the_configured_program(tmp_path: Path) -> None:
    project = tmp_path / "py"
    project.mkdir()
    (tmp_path / "rust").mkdir()
    manifest = tmp_path / "rust" / "Cargo.toml"
    manifest.touch()
    assert configured_manifest(project) is None
    for value in ("../rust", "../rust/Cargo.toml", str(manifest)):
        (project / "pyproject.toml").write_text(f'[tool.puff]\ncargo = "{value}"\n')
        assert configured_manifest(project) == manifest
    executable(tmp_path / "bin" / "cargo", PRINTS)
    done = run(str(tmp_path / "bin"), project, "run", "-q", "hello")
    assert done.stdout.endswith(f"|run --manifest-path {manifest} -q hello\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.puff]\ncargo = 5\n", "tool.puff.cargo: 5 is not a path"),
        ('[tool.puff]\ncargo = "../nowhere"\n', "tool.puff.cargo: there is no "),
        ("[tool.puff\n", "pyproject.toml: "),
    ],
)
def test_wrong_configuration_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    executable(tmp_path / "bin" / "cargo", PRINTS)
    done = run(str(tmp_path / "bin"), tmp_path, "build")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("run hello", "run --manifest-path M hello"),
        ("+nightly --color always build -p x", "+nightly --color always build --manifest-path M -p x"),
        ("run -- --manifest-path=x", "run --manifest-path M -- --manifest-path=x"),
        ("run --manifest-path=x", "run --manifest-path=x"),
        ("run --manifest-path x -- y", "run --manifest-path x -- y"),
        ("install ripgrep", "install ripgrep"),
        ("--version", "--version"),
        ("", ""),
    ],
)
def test_where_the_manifest_goes(given: str, expected: str) -> None:
    assert " ".join(with_manifest(given.split(), Path("M"))) == expected
    assert with_manifest(given.split(), None) == given.split()
