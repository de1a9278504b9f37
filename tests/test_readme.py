"""The README tells the truth: what it shows is what is in the examples, and it runs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_examples_are_the_files() -> None:
    assert blocks("python")[0] == (ROOT / "examples/hello/hello.py").read_text()
    assert blocks("rust") == [(ROOT / "examples/puff-and-python/src/main.rs").read_text()]
    assert len(blocks("python")[0].splitlines()) <= 30


@pytest.fixture
def folder(tmp_path: Path, puff: Any, stop_services: Any) -> Any:
    """A folder with the first example as the README has it."""
    (tmp_path / "hello.py").write_text(blocks("python")[0])
    yield tmp_path
    stop_services(tmp_path)
    puff("db", "reset", "--yes", cwd=tmp_path)


def test_the_first_example_answers_as_shown(folder: Path, serve: Any) -> None:
    start = next(line for text in blocks("sh") for line in text.splitlines() if "runserver" in line)
    command = shlex.split(start)
    assert command[:2] == ["puff", "runserver"]
    ask = next(text for text in blocks("sh") if text.startswith("curl"))
    query = json.loads(re.search(r"-d '(.*)'", ask)[1])["query"]  # type: ignore[index]
    with serve(*command[2:], cwd=folder) as server:
        assert server.graphql(query) == json.loads(blocks("json")[0])
        assert "<title>" in server.get("/").text


def test_the_other_python_runs(puff: Any, tmp_path: Path) -> None:
    (tmp_path / "my_python_app.py").write_text(blocks("python")[1])
    (tmp_path / "my_file.zip").write_bytes(b"x" * 37)
    done = puff("run", "my_python_app.hello_world", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "37 bytes\n"), done.stderr


@pytest.mark.parametrize("name", re.findall(r"`make ([a-z]+)`|^make ([a-z]+) ", README, re.MULTILINE))
def test_make_targets_exist(name: tuple[str, str]) -> None:
    assert re.search(rf"^{''.join(name)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_status_names_all_commands(puff: Any, tmp_path: Path) -> None:
    help_text = puff("--help", cwd=tmp_path).stdout
    present = set(re.findall(r"^  ([a-z]+)  ", help_text, re.MULTILINE))
    listed = re.search(r"command line \(`puff runserver`,([^)]*)\)", README)
    assert listed is not None
    assert present == {"runserver", *re.findall(r"`(\w+)`", listed[1])}
