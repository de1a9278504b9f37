"""Whole-stack tests: the real `puff` on real servers, reached through its public doors.

Each worker of the test run has a project folder of its own with private services of its own, which end when
the worker does.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import ROOT, Run, Serve, Server, end_services, run_puff, serving


@pytest.fixture(scope="session")
def puff() -> Run:
    """Runs the command line: `puff("run", "mod.function", cwd=folder)`."""
    return run_puff


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Starts servers: `with serve("--wsgi", "app:app", cwd=folder) as server: server.get("/")`."""
    return serving


@pytest.fixture(scope="session")
def stop_services() -> Callable[[Path], None]:
    """Ends the private services of a project folder."""

    return end_services


@pytest.fixture(scope="module")
def folder(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    stop_services: Callable[[Path], None],
) -> Iterator[Path]:
    """A project: the module's `APP` as app.py, which puff.toml names; its `SCHEMA`, if any, as schema.py."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "app.py").write_text(request.module.APP)
    (folder / "puff.toml").write_text('wsgi = "app:app"\n')
    schema = getattr(request.module, "SCHEMA", None)
    if schema is None:
        yield folder
    else:
        (folder / "schema.py").write_text(schema)
        yield folder
        stop_services(folder)


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    """The project, serving as it does by default."""
    with serve(cwd=folder) as server:
        yield server


@pytest.fixture(scope="session")
def demo_folder(
    tmp_path_factory: pytest.TempPathFactory, puff: Run, stop_services: Callable[[Path], None]
) -> Iterator[Path]:
    """A copy of the demo with its data loaded."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    shutil.copytree(ROOT / "examples" / "demo", folder, ignore=shutil.ignore_patterns(".puff", "__pycache__"))
    loaded = puff("run", "puff_demo.data.load", cwd=folder)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    yield folder
    stop_services(folder)


@pytest.fixture(scope="session")
def demo_server(demo_folder: Path) -> Iterator[Server]:
    """The demo, serving."""
    with serving(cwd=demo_folder) as server:
        yield server
