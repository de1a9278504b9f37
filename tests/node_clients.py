"""The clients that come from npm: installed once below `target`, from `tests/clients` and its lock file."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stack import ROOT

SOURCE = Path(__file__).parent / "clients"
TARGET = ROOT / "target" / "clients"


@functools.cache
def node() -> Path:
    """Node, with the packages installed."""
    sys.path.insert(0, str(ROOT / "frontend"))
    try:
        import build
    finally:
        sys.path.remove(str(ROOT / "frontend"))
    program, npm_cli = build.find_node(Path(sys.executable))
    lock = (SOURCE / "package-lock.json").read_bytes()
    stamp, digest = TARGET / ".stamp", hashlib.sha256(lock).hexdigest()
    TARGET.mkdir(parents=True, exist_ok=True)
    # Several workers of a test run may come here at once.
    with (TARGET / ".installing").open("w") as installing:
        fcntl.flock(installing, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != digest:
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(SOURCE / name, TARGET / name)
            build.run([str(program), str(npm_cli), "ci", "--loglevel=error"], cwd=TARGET)
            stamp.write_text(digest)
        for script in SOURCE.glob("*.mjs"):
            copy = TARGET / script.name
            if not copy.is_file() or copy.read_bytes() != script.read_bytes():
                shutil.copy(script, TARGET / ".copying")
                (TARGET / ".copying").replace(copy)
    return program


class NodeClient:
    """A client at work: what happens to it, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            what, value = json.loads(line)
            yield what, value

    def next(self) -> tuple[str, Any]:
        """What happens next; fails if nothing does."""
        return next(iter(self))


@contextlib.contextmanager
def subscribing(kind: str, url: str, query: str, **options: Any) -> Iterator[NodeClient]:
    """`subscribe.mjs` with these arguments; see there."""
    command = [str(node()), "subscribe.mjs", kind, url, query, json.dumps(options)]
    process = subprocess.Popen(
        command, cwd=TARGET, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield NodeClient(process)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
