"""SIGHUP where it asks for no reload: a terminal that goes, a server that nobody can reload."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from load import Load
from stack import PUFF, Serve, clean_environment, free_port
from support import eventually, is_alive
from test_workers import APP, children, log_has, one_request


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "puff.toml").write_text('wsgi = "app:app"\npid_file = "web.pid"\n')
    return tmp_path


@contextlib.contextmanager
def on_terminal(*arguments: str, cwd: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server with a terminal of its own, and the terminal's other end, which the block closes."""
    setsid = shutil.which("setsid")
    if setsid is None:
        pytest.skip("the program setsid gives a process a terminal")
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [setsid, "--ctty", *arguments, "--bind", str(port)],
        cwd=cwd,
        env=clean_environment(),
        stdin=end,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(end)
    try:
        assert eventually(lambda: one_request(port, "/") == "answered", 30)
        yield process, terminal
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("arguments", [[], ["--workers", "1"]], ids=["alone", "supervised"])
def test_a_server_ends_with_its_terminal(project: Path, arguments: list[str]) -> None:
    port = free_port()
    with on_terminal(str(PUFF), "runserver", *arguments, cwd=project, port=port) as (process, terminal):
        found = children(process.pid)
        os.close(terminal)
        assert process.wait(20) == 0
        assert eventually(lambda: one_request(port, "/") == "refused")
        assert eventually(lambda: not any(map(is_alive, found)))
        assert not (project / "web.pid").exists()


def test_nohup_is_heard(project: Path) -> None:
    nohup = shutil.which("nohup")
    if nohup is None:
        pytest.skip("there is no program nohup")
    port = free_port()
    with on_terminal(nohup, str(PUFF), "runserver", cwd=project, port=port) as (process, terminal):
        os.close(terminal)
        process.send_signal(signal.SIGHUP)
        assert one_request(port, "/slow") == "answered"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_server_that_cannot_be_reloaded_goes_on(project: Path, serve: Serve) -> None:
    with serve(cwd=project) as server:
        with Load(server.port) as load:
            for _ in range(3):
                server.process.send_signal(signal.SIGHUP)
                load.wait_for(20)
        load.assert_flawless()
        assert log_has(server, "SIGHUP reloads servers that have workers")
        assert (project / "web.pid").read_text().strip() == str(server.process.pid)
        assert server.stop() == 0
