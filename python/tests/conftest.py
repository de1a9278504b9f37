"""Tests of the package in plain Python: the runtime starts lazily, in the background."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PUFF = Path(sys.executable).parent / "puff"


@pytest.fixture(scope="session", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty project folder, where the private services of this test process live."""
    for name in list(os.environ):
        if name.startswith("PUFF_") or name in ("DATABASE_URL", "REDIS_URL"):
            del os.environ[name]
    folder = tmp_path_factory.mktemp("project")
    os.chdir(folder)
    yield folder
    if (folder / ".puff").exists():
        # This process uses them until it ends, so they are stopped under it.
        for command in (["stop"], ["reset", "--yes"]):
            subprocess.run(
                [str(PUFF), "db", *command], cwd=folder, timeout=60, check=False, capture_output=True
            )


@pytest.fixture(params=["thread", "greenlet"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls a function on this thread, which is not the hub, and in a greenlet of the hub."""
    import puff

    if request.param == "thread":
        return lambda function, *arguments: function(*arguments)
    return lambda function, *arguments: puff.spawn(function, *arguments).join(30)
