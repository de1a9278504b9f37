"""The guide runs: its files, commands and answers are followed from top to bottom, as a reader would.

What a block's first line says:

=========================  ==========================================================================
```` ```python file=a.py````  the block is that file (any language)
```` ```sh run````            run it; it must succeed, or end with the status in `exit=2`
```` ```sh serve````          a `puff runserver` that runs until the next such block or the page's end
```` ```text output````       what the command before printed to stdout; `...` stands for anything
```` ```rust from=path````    an excerpt of a file that the compiler has seen
=========================  ==========================================================================

Other blocks are only read: those of Python, shell, TOML, JSON and INI must at least be of these languages.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomllib

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "guide"
PAGES = [ROOT / "docs" / "index.md", *sorted(GUIDE.glob("*.md"))]
ADDRESS = "127.0.0.1:8000"
SECONDS = 60.0


@dataclass
class Block:
    """A fenced block of a page."""

    place: str
    language: str
    words: list[str]
    text: str

    def option(self, name: str) -> str | None:
        return next((word[len(name) + 1 :] for word in self.words if word.startswith(f"{name}=")), None)


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    source = page.read_text()
    found = []
    for match in re.finditer(r"^```([a-z]+)([^\n]*)\n(.*?)^```$", source, re.DOTALL | re.MULTILINE):
        line = source[: match.start()].count("\n") + 1
        found.append(Block(f"{page.name}:{line}", match[1], match[2].split(), match[3]))
    return found


class Reader:
    """Somebody who follows a page in a folder of their own."""

    def __init__(self, folder: Path, serve: Any, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.serve = serve
        self.stack = stack
        self.server: contextlib.ExitStack | None = None
        self.address = ADDRESS
        self.stdout: str | None = None

    def follow(self, block: Block) -> None:
        """Does what a block asks for."""
        file = block.option("file")
        if file is not None:
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif "run" in block.words:
            self.run(block)
        elif "serve" in block.words:
            self.start(block)
        elif "output" in block.words:
            self.compare(block)
        elif block.option("from") is not None:
            compare_excerpt(block)
        else:
            read(block)

    def run(self, block: Block) -> None:
        drop = ("PUFF_", "DATABASE_URL", "REDIS_URL", "PYTEST_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
        bin_directory = str(Path(sys.executable).parent)
        environment |= {
            "PATH": os.pathsep.join([bin_directory, environment["PATH"]]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text.replace(ADDRESS, self.address)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        expected = int(block.option("exit") or 0)
        assert done.returncode == expected, f"{block.place}\n{done.stdout}\n{done.stderr}"
        self.stdout = done.stdout if expected == 0 else done.stdout + done.stderr

    def start(self, block: Block) -> None:
        command = shlex.split(block.text, comments=True)
        assert command[:2] == ["puff", "runserver"], block.place
        if self.server is not None:
            self.server.close()
        self.server = self.stack.enter_context(contextlib.ExitStack())
        server = self.server.enter_context(self.serve(*command[2:], cwd=self.folder, env={"PUFF_DEBUG": ""}))
        self.address = server.url.removeprefix("http://")

    def compare(self, block: Block) -> None:
        assert self.stdout is not None, f"{block.place}: no command before this output"
        pattern = ".*?".join(re.escape(part) for part in block.text.strip().split("..."))
        got = self.stdout.replace(self.address, ADDRESS).strip()
        assert re.fullmatch(pattern, got, re.DOTALL), f"{block.place}\n{got}"


def read(block: Block) -> None:
    """Sees that a block is of its language."""
    if block.language == "python":
        compile(block.text, block.place, "exec")
    elif block.language == "sh":
        checked = subprocess.run(
            ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, f"{block.place}\n{checked.stderr}"
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "ini":
        configparser.ConfigParser(strict=False, interpolation=None).read_string(block.text)


def compare_excerpt(block: Block) -> None:
    """Sees that a block stands in the file it names, comments of documentation and indentation aside."""
    path = block.option("from")
    source = (ROOT / str(path)).read_text()
    source = "\n".join(re.sub(r"^\s*//[/!] ?", "", line) for line in source.splitlines())
    flat = re.sub(r"\s+", " ", re.sub(r"^# .*\n", "", source, flags=re.MULTILINE))
    for part in block.text.split("// ...\n"):
        wanted = re.sub(r"\s+", " ", textwrap.dedent(part)).strip()
        assert wanted in flat, f"{block.place}: not in {path}:\n{part}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, tmp_path: Path, serve: Any, puff: Any, stop_services: Any) -> None:
    if shutil.which("curl") is None and "curl " in page.read_text():
        pytest.skip("no curl on PATH, which this page uses")
    try:
        with contextlib.ExitStack() as stack:
            reader = Reader(tmp_path, serve, stack)
            for block in blocks(page):
                reader.follow(block)
    finally:
        if (tmp_path / ".puff").exists():
            stop_services(tmp_path)
            # Root keeps data outside a folder that the servers' account cannot reach: do not leave it there.
            puff("db", "reset", "--yes", cwd=tmp_path)
