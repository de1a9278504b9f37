"""Tests of the package in plain Python: the runtime starts lazily, in the background."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PUFF = Path(sys.executable).parent / "puff"


@pytest.fixture(scope="session", autouse=True)
def project() -> Iterator[Path]:
    """An empty project folder, where the private services of this test process live.

    Every user may enter it, unlike pytest's own, so that root's services keep their data in it.
    """
    for name in list(os.environ):
        if name.startswith("PUFF_") or name in ("DATABASE_URL", "REDIS_URL"):
            del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="puff-project-"))
    folder.chmod(0o755)
    os.chdir(folder)
    yield folder
    os.chdir("/")
    if (folder / ".puff").exists():
        # This process uses them until it ends, so they are stopped under it.
        subprocess.run([str(PUFF), "db", "stop"], cwd=folder, timeout=60, check=False, capture_output=True)
    shutil.rmtree(folder)


@pytest.fixture(params=["thread", "greenlet", "blocking", "asyncio"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls a function on this thread, which is not the hub; in a greenlet of the hub; on a thread of
    `puff.blocking`; from a running asyncio loop."""
    import puff

    def from_asyncio(function: Callable[..., Any], *arguments: Any) -> Any:
        return asyncio.run(asyncio.wait_for(puff.aio(function, *arguments), 120))

    ways: dict[str, Callable[..., Any]] = {
        "thread": lambda function, *arguments: function(*arguments),
        "greenlet": lambda function, *arguments: puff.spawn(function, *arguments).join(120),
        "blocking": lambda function, *arguments: puff.spawn_blocking(function, *arguments),
        "asyncio": from_asyncio,
    }
    return ways[request.param]
