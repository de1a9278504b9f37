"""The server goes away, or hangs, while the driver works: what programs see is what psycopg2 shows them.

One program runs in greenlets of `puff run`, in plain Python, and with the real psycopg2, on a server of its
own each. For every phase of a session's life, and every way in which the server can go, it notes which
exception came, what became of the connection, and how long that took.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from own_postgres import PROGRAMS, own_postgres
from stack import PUFF, clean_environment

Diary = dict[str, Any]
HOSTS = {
    "psycopg2": [sys.executable, str(PROGRAMS / "faults.py"), "psycopg2"],
    "python": [sys.executable, str(PROGRAMS / "faults.py"), "puff"],
    "puff": [str(PUFF), "run", "faults.main"],
}
MOMENT = 6.0  # seconds; how long what psycopg2 notices at once may take on a machine that has other work


def run(host: str, folder: Path) -> Diary:
    folder.mkdir()
    with own_postgres() as server:
        server.rest = 2  # it is looked at meanwhile
        done = subprocess.run(
            HOSTS[host],
            cwd=folder,
            env=clean_environment(**server.environment, PYTHONPATH=str(PROGRAMS)),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found: Diary = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def diaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Diary]]]:
    """What the program saw in each host; they run beside each other, for they mostly wait."""
    folder = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(3) as pool:
        yield {host: pool.submit(run, host, folder / host) for host in HOSTS}


# libpq forgets the server's last words when the end of the stream follows at once, and has no words at all
# for a copy that breaks off. Ours says what the server said.
LAST_WORDS = ["AdminShutdown", "57P01"]
BROKEN_OFF = ["DatabaseError", None]
LOST = ["OperationalError", None]


def alike(ours: list[Any], theirs: list[Any], name: str) -> bool:
    if ours[:2] == theirs[:2]:
        return True
    if name.endswith("terminated") and ours[:2] == LAST_WORDS:
        return theirs[:2] == LOST
    return ours[:2] == LOST and theirs[:2] == BROKEN_OFF


@pytest.mark.parametrize("host", ["python", "puff"])
def test_the_server_goes_away(diaries: dict[str, Future[Diary]], host: str) -> None:
    ours, theirs = diaries[host].result(), diaries["psycopg2"].result()
    assert ours.keys() == theirs.keys()
    assert ours.pop("left behind") == 0
    wrong = []
    for name, seen in ours.items():
        oracle = theirs[name]
        if name == "connecting":
            continue
        same = {key: value for key, value in seen.items() if key not in ("seen", "took")}
        if same != {key: oracle[key] for key in same} or not alike(seen["seen"], oracle["seen"], name):
            wrong.append(f"{name}\n  ours     {seen}\n  psycopg2 {oracle}")
        if seen["took"] > oracle["took"] + MOMENT:
            wrong.append(f"{name} took {seen['took']:.1f} s, psycopg2 {oracle['took']:.1f} s")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("host", ["python", "puff"])
def test_the_server_goes_away_at_the_start(diaries: dict[str, Future[Diary]], host: str) -> None:
    ours = diaries[host].result()["connecting"]
    theirs = diaries["psycopg2"].result()["connecting"]
    assert ours.keys() == theirs.keys()
    for name, seen in ours.items():
        # The class alone: ours has the SQLSTATE as well.
        assert seen["seen"][0] == theirs[name]["seen"][0], (name, seen, theirs[name])
        assert "Traceback" not in seen["seen"][2], seen
        assert seen["took"] < theirs[name]["took"] + MOMENT, name


HANGS = """
import contextlib, os, signal, time
import puff
from puff import postgres

def server_hangs(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    pid = connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    try:
        with puff.timeout(0.5):
            cursor.execute("SELECT 2")
    except TimeoutError:
        print("out", time.monotonic() - start < 30, connection.closed)
    finally:
        os.kill(pid, signal.SIGCONT)
    connection.rollback()
    cursor.execute("SELECT 3")
    print(cursor.fetchone())
    connection.close()

def nobody_answers():
    with open(os.environ["POSTMASTER"]) as file:
        postmaster = int(file.readline())
    os.kill(postmaster, signal.SIGSTOP)
    start = time.monotonic()
    try:
        with puff.timeout(0.5):
            postgres.connect()
    except TimeoutError:
        print("out", time.monotonic() - start < 30)
    finally:
        os.kill(postmaster, signal.SIGCONT)

def killed():
    with contextlib.closing(postgres.connect(application_name="killed")) as connection:
        connection.cursor().execute("SELECT pg_sleep(60)")

def left(name):
    with postgres.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", (name,))
        return cursor.fetchone()[0]

def eventually(condition):
    for _ in range(1000):
        if condition():
            return True
        puff.sleep(0.01)
    return False

def main():
    server_hangs(postgres.connect())
    puff.spawn_blocking(server_hangs, postgres.connect())
    nobody_answers()
    victims = [puff.spawn(killed) for _ in range(5)]
    print(eventually(lambda: left("killed") == 5))
    for victim in victims:
        victim.kill()
    print(eventually(lambda: left("killed") == 0))
"""


def test_a_server_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text(HANGS)
    with own_postgres() as server:
        done = subprocess.run(
            [str(PUFF), "run", "hangs.main"],
            cwd=tmp_path,
            env=clean_environment(**server.environment),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    hung = ["out True 0", "(3,)"]
    assert done.stdout.splitlines() == [*hung, *hung, "out True", "True", "True"], done.stderr
