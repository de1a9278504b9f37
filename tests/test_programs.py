"""Programs in Rust that embed Python: the examples, run by cargo."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, clean_environment

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")


def cargo(example: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`cargo run ARGUMENTS` in the folder of an example, in this interpreter's virtual environment."""
    folder: Path = ROOT / "examples" / example
    return subprocess.run(
        ["cargo", "run", "--quiet", "--", *arguments],
        cwd=folder,
        env=clean_environment(VIRTUAL_ENV=sys.prefix, PYO3_PYTHON=sys.executable, **variables),
        capture_output=True,
        text=True,
        timeout=900,  # the first run compiles
        check=False,
    )


def test_a_python_function_is_a_command() -> None:
    result = cargo("puff-and-python", "run_hello_world")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "Hello from python!! Zip is 123 bytes long from rust and 123 bytes from Python.\n"


def test_python_calls_rust() -> None:
    cargo("puff-and-rust", "--help")
    begin = time.monotonic()
    result = cargo("puff-and-rust", "run_hello_world", PUFF_LOG="debug")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["Hello from Rust! Python Says: Hello from Python!", "42"]
    assert "Python says: hello async" in result.stderr
    assert time.monotonic() - begin > 1, "the future sleeps for a second"


def test_a_program_explains_itself() -> None:
    result = cargo("puff-and-python", "--help")
    assert result.returncode == 0
    assert "This is my first app" in result.stdout
    assert "run_hello_world" in result.stdout
    wrong = cargo("puff-and-python", "run_hello_mars")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("my_first_app: error: ")
