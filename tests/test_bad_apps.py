"""Applications that cannot be served: one clear message at the start, status 2, and nothing left behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from stack import Run, Serve
from support import eventually

MODULES = {
    "syntax": "def app(environ, start_response)\n    pass\n",
    "missing": "import nothing_of_that_name\n",
    "raises": "raise RuntimeError('no database today')\n",
    "deep": "from raises import app\n",
    "number": "app = 42\n",
    "awaited": "async def app(scope, receive, send):\n    pass\n",
    "object": "class App:\n    async def __call__(self, *args):\n        pass\n\napp = App()\n",
    "factory": "def app():\n    return lambda environ, start_response: []\n",
    "makes": "import good, puff\n\ndef app():\n    puff.sleep(0.01)\n    return good.app\n\n"
    "def number():\n    return 42\n\ndef fails():\n    raise RuntimeError('no app')\n",
    "good": "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'good']\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad-apps")
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("module", "cause"),
    [
        ("syntax", "SyntaxError: "),
        ("missing", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("raises", "RuntimeError: no database today"),
        ("deep", "RuntimeError: no database today"),
        ("makes:fails()", "RuntimeError: no app"),
    ],
)
def test_a_module_that_does_not_import(folder: Path, puff: Run, module: str, cause: str) -> None:
    """With the traceback of the user's code, and a last line that names the application."""
    path = module if ":" in module else f"{module}:app"
    ended = puff("runserver", "--bind", "127.0.0.1:0", "--wsgi", path, cwd=folder)
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert lines[-1] == f"puff: error: the import of {path} failed"
    assert lines[-2].startswith(cause)
    assert "File" in ended.stderr
    assert "/puff/" not in ended.stderr


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("number:app", "number:app: a WSGI application is a callable, not int"),
        ("awaited:app", "awaited:app: this is an ASGI application, the server speaks WSGI"),
        ("object:app", "object:app: this is an ASGI application, the server speaks WSGI"),
        ("good:nothing", 'module "good" has no attribute "nothing" (from "good:nothing")'),
        ("good:nothing()", 'module "good" has no attribute "nothing" (from "good:nothing")'),
        ("number:app()", "number:app(): a factory is a function, not int"),
        ("makes:number()", "makes:number(): a WSGI application is a callable, not int"),
        ("good.py:app", '"good.py:app" is a file: write its module, as in pkg.module:attribute'),
        ("./good:app", '"./good:app" is a file: write its module, as in pkg.module:attribute'),
    ],
)
def test_what_is_no_application(folder: Path, puff: Run, path: str, message: str) -> None:
    ended = puff("runserver", "--bind", "127.0.0.1:0", "--wsgi", path, cwd=folder)
    assert (ended.returncode, ended.stderr) == (2, f"puff: error: {message}\n")


def test_an_application_without_its_flag(folder: Path, puff: Run) -> None:
    ended = puff("runserver", "good:app", cwd=folder)
    told = "puff: error: write --wsgi before the application: runserver --wsgi 'good:app'\n"
    assert (ended.returncode, ended.stderr) == (2, told)


def test_a_port_in_use_is_told_before_anything_is_imported(folder: Path, puff: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = puff("runserver", "--bind", address, "--wsgi", "raises:app", cwd=folder)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"puff: error: cannot listen on {address}: address already in use")
    assert ended.stderr.count("\n") == 1


def test_a_factory_makes_an_application(folder: Path, serve: Serve) -> None:
    """In a greenlet, so that it may wait; with workers in each of them."""
    for more in ((), ("--workers", "1")):
        with serve("--wsgi", "makes:app()", *more, cwd=folder) as server:
            assert server.get("/").body == b"good"


def test_a_factory_is_no_application(folder: Path, serve: Serve) -> None:
    """Nobody knows before the first call; the log says what is wrong, the client only that something is."""
    with serve("--wsgi", "factory:app", cwd=folder) as server:
        answer = server.get("/")
        assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
        message = "app() takes 0 positional arguments but 2 were given"
        assert eventually(lambda: message in server.log.read_text())
        assert server.get("/").status == 500
