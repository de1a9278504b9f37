"""Live servers, in the process of the tests: `puff.testing.LiveServer`, Django's and pytest-django's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_project import environment, make
from stack import Run, clean_environment

TESTS = """
import concurrent.futures
import http.client
import urllib.error
import urllib.request

import puff
import pytest
from django.db import connection
from django.test import LiveServerTestCase
from notes import views
from notes.models import Note
from puff.contrib.django.testing import LiveServerThread
from puff.testing import LiveServer


def read(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


def test_pages_of_this_process(live_server, monkeypatch):
    assert isinstance(live_server.thread, LiveServerThread)
    assert read(live_server + "/") == "<p>first</p>"
    monkeypatch.setattr(views, "WORD", "patched")
    assert read(live_server + "/") == "<p>patched</p>"
    assert read(live_server + "/static/notes/style.css") == "p { color: teal }"
    with pytest.raises(urllib.error.HTTPError, match="500"):
        read(live_server + "/broken")


@pytest.mark.parametrize("again", [1, 2])
def test_rows_that_are_committed(live_server, again):
    assert read(live_server + "/count") == "0"
    Note.objects.create(title="one")
    assert read(live_server + "/count") == "1"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, [live_server + "/count"] * 40)) == {"1"}


class OfTestCase(LiveServerTestCase):
    def test_rows(self):
        Note.objects.create(title="one")
        self.assertEqual(read(self.live_server_url + "/count"), "1")


def test_any_application():
    here = []

    def application(environ, start_response):
        body = environ["wsgi.input"].read()
        here.append(body)
        for _ in range(2000):  # until there are three
            if len(here) >= 3:
                break
            puff.sleep(0.01)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"%d " % len(here), body])

    with LiveServer(application, "127.0.0.1") as server:
        ask = urllib.request.Request(server.url, data=b"x" * 100_000)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(read, [ask] * 3))
        assert {answer.split()[0] for answer in answers} == {"3"}
        assert all(len(answer) == 100_002 for answer in answers)
        with pytest.raises(OSError, match="in use"):
            LiveServer(application, "127.0.0.1", server.port)
        kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        kept.request("POST", "/", b"again")
        assert kept.getresponse().read() == b"4 again"
    with pytest.raises(OSError):
        read(server.url)
    kept.close()
    with pytest.raises(OSError):
        LiveServer(application, "192.0.2.1")
"""


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, stop_services: Callable[[Path], None]
) -> Iterator[Path]:
    folder = make(
        tmp_path_factory.mktemp("notes"),
        **{
            "test_live.py": TESTS,
            "notes/tests.py": "from test_live import OfTestCase as OfTestCase\n",
            "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = site_of_notes.settings\npythonpath = .\n",
        },
    )
    yield folder
    stop_services(folder)


@pytest.mark.parametrize("age", ["0", "60"])
def test_inside_the_runtime(project: Path, puff: Run, age: str) -> None:
    done = puff(
        "pytest", "-q", "-p", "no:cacheprovider", "test_live.py", cwd=project, env=environment(MAX_AGE=age)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


@pytest.mark.parametrize("age", ["0", "60"])
def test_in_plain_python(project: Path, age: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_live.py"],
        cwd=project,
        env=clean_environment(**environment(MAX_AGE=age)),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


@pytest.mark.parametrize("parallel", [(), ("--parallel", "2")])
def test_djangos_runner(project: Path, puff: Run, parallel: tuple[str, ...]) -> None:
    done = puff("django", "test", "--noinput", *parallel, cwd=project, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 1 test" in done.stderr
