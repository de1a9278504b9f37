"""Whole-stack tests: the real `puff` on real servers, reached through its public doors.

Each worker of the test run has a project folder of its own with private services of its own, which end when
the worker does.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polls_site
import pytest
from django_shop import Shop
from stack import ROOT, Project, Run, Serve, Server, end_services, run_puff, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# What a shell runs in its background ignores SIGINT, what `nohup` runs SIGHUP. So would the servers of these
# tests, which are stopped by them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


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
def shop(
    tmp_path_factory: pytest.TempPathFactory, puff: Run, stop_services: Callable[[Path], None]
) -> Iterator[Shop]:
    """A small Django project."""
    shop = Shop(tmp_path_factory.mktemp("shop"), puff)
    shop.make()
    yield shop
    stop_services(shop.folder)


@pytest.fixture
def in_shop(shop: Shop, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Runs a program in it: `in_shop(source, host="python")` is what it printed."""
    return partial(shop.run, request.node.name)


@pytest.fixture(scope="module")
def new_project(
    tmp_path_factory: pytest.TempPathFactory, stop_services: Callable[[Path], None]
) -> Iterator[Project]:
    """Makes projects of files: `new_project({"app.py": text})` is the folder.

    Private services that they come to have end with the module; `services=False` says that there are none.
    """
    served = []

    def make(files: Mapping[str, str], services: bool = True) -> Path:
        folder = tmp_path_factory.mktemp("project")
        for name, text in files.items():
            (folder / name).write_text(text)
        if services:
            served.append(folder)
        return folder

    yield make
    for folder in served:
        stop_services(folder)


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, new_project: Project) -> Path:
    """A project: the module's `APP` as app.py, which puff.toml names; its `SCHEMA`, if any, as schema.py."""
    files = {"app.py": request.module.APP, "puff.toml": 'wsgi = "app:app"\n'}
    schema = getattr(request.module, "SCHEMA", None)
    if schema is None:
        return new_project(files, services=False)
    return new_project({**files, "schema.py": schema})


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    """The project, serving as it does by default."""
    with serve(cwd=folder) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium, the machine's own; skips where there is none."""
    from browsing import chromium  # Playwright, which most tests do without

    with chromium() as browser:
        yield browser


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


@pytest.fixture(scope="session")
def polls_folder(
    tmp_path_factory: pytest.TempPathFactory, stop_services: Callable[[Path], None]
) -> Iterator[Path]:
    """A copy of the Django example with all its data and a superuser."""
    folder = polls_site.copy_to(tmp_path_factory.mktemp("polls") / "site")
    try:
        polls_site.fill(folder)
        yield folder
    finally:
        stop_services(folder)


@pytest.fixture(scope="session")
def polls_server(polls_folder: Path) -> Iterator[Server]:
    """The Django example, serving."""
    with serving(cwd=polls_folder) as server:
        yield server
