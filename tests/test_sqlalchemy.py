"""SQLAlchemy 2 on this driver, under psycopg2's name, sees what it sees with psycopg2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_postgres import PROGRAMS, OwnPostgres, own_postgres
from stack import PUFF, Project, Run, clean_environment


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with own_postgres() as started:
        yield started


def run(server: OwnPostgres, folder: Path, *command: str, driver: str = "psycopg2") -> list[str]:
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(**server.environment, PYTHONPATH=str(PROGRAMS), DRIVER=driver),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def expected(server: OwnPostgres, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the program prints with psycopg2."""
    folder = tmp_path_factory.mktemp("psycopg2")
    lines = run(server, folder, sys.executable, str(PROGRAMS / "alchemy.py"), "psycopg2")
    assert lines[-1] == "left behind 0"
    return lines


@pytest.mark.parametrize("driver", ["psycopg2", "puff"])
def test_in_threads(server: OwnPostgres, expected: list[str], tmp_path: Path, driver: str) -> None:
    assert run(server, tmp_path, sys.executable, str(PROGRAMS / "alchemy.py"), driver=driver) == expected


@pytest.mark.parametrize("driver", ["psycopg2", "puff"])
def test_in_greenlets(server: OwnPostgres, expected: list[str], tmp_path: Path, driver: str) -> None:
    assert run(server, tmp_path, str(PUFF), "run", "alchemy.main", driver=driver) == expected


POOL = """
import gc
import threading

import greenlet
import puff
import sqlalchemy as sa

HELD = sa.text("SELECT pg_sleep(:seconds)::text || :n")


def engine(**more):
    return sa.create_engine("postgresql+puff://", pool_size=2, max_overflow=0, **more)


def hold(base, n, seconds):
    with base.connect() as connection:
        return connection.scalar(HELD, {"seconds": seconds, "n": str(n)})


def all_get_their_turn():
    base = engine()  # all of them connect for the first time, too
    found = puff.join_all([puff.spawn(hold, base, n, 0.02) for n in range(30)])
    assert found == [str(n) for n in range(30)], found
    assert base.pool.checkedout() == 0, base.pool.status()
    base.dispose()


def who_waits_too_long_is_told_and_others_run():
    base, held, done = engine(pool_timeout=1), [], puff.Event()

    def holder():
        with base.connect():
            held.append(None)
            done.wait()

    holders = [puff.spawn(holder) for _ in range(2)]
    while len(held) < 2:
        puff.sleep(0.01)
    ticks = []

    def tick():
        while True:
            puff.sleep(0.01)
            ticks.append(None)

    ticking = puff.spawn(tick)
    while not ticks:
        puff.sleep(0.01)
    before = len(ticks)
    try:
        hold(base, 3, 0)
    except sa.exc.TimeoutError as error:
        assert "QueuePool limit of size 2 overflow 0 reached" in str(error), error
    else:
        raise AssertionError("no time-out")
    assert len(ticks) > before
    ticking.kill()
    done.set()
    puff.join_all(holders)
    base.dispose()


def who_is_killed_takes_nothing_along():
    base = engine()
    holders = [puff.spawn(hold, base, n, 60) for n in range(2)]
    waiters = [puff.spawn(hold, base, n, 60) for n in range(5)]
    puff.sleep(0.2)
    for each in [*waiters, *holders]:
        each.kill()
    for each in [*waiters, *holders]:
        try:
            each.join()
        except greenlet.GreenletExit:
            pass
    with puff.timeout(30):
        assert puff.join_all([puff.spawn(hold, base, n, 0) for n in range(4)]) == ["0", "1", "2", "3"]
    assert base.pool.checkedout() == 0, base.pool.status()
    base.dispose()


def threads_wait_as_well():
    base = engine()
    found = []

    def in_thread(n):
        found.append(hold(base, n, 0.02))

    threads = [threading.Thread(target=in_thread, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    puff.spawn_blocking(lambda: [each.join() for each in threads])
    assert sorted(found) == [str(n) for n in range(8)], found
    base.dispose()


def what_says_no_place_is_the_programs_own():
    base = engine(connect_args={"application_name": "shop"})
    with base.connect() as connection:
        name, place = connection.execute(
            sa.text("SELECT current_setting('application_name'), current_setting('unix_socket_directories')")
        ).one()
        (own,) = puff.global_postgres().query("SELECT current_setting('unix_socket_directories') AS place")
        assert (name, place) == ("shop", own["place"])
    base.dispose()


def what_is_forgotten_comes_back():
    base = engine(pool_timeout=20)
    for _ in range(5):
        base.connect().execute(sa.text("SELECT 1"))  # nobody closes it
        gc.collect()
    assert hold(base, 1, 0) == "1"
    base.dispose()


def main():
    for test in (
        all_get_their_turn,
        who_waits_too_long_is_told_and_others_run,
        who_is_killed_takes_nothing_along,
        threads_wait_as_well,
        what_says_no_place_is_the_programs_own,
        what_is_forgotten_comes_back,
    ):
        test()
        print(test.__name__)
    try:
        sa.create_engine("postgresql+puff://", pool_use_lifo=True)
    except ValueError as error:
        print(error)
"""


def test_greenlets_wait_at_its_pool(new_project: Project, puff: Run) -> None:
    done = puff("run", "pools.main", cwd=new_project({"pools.py": POOL}))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "all_get_their_turn",
        "who_waits_too_long_is_told_and_others_run",
        "who_is_killed_takes_nothing_along",
        "threads_wait_as_well",
        "what_says_no_place_is_the_programs_own",
        "what_is_forgotten_comes_back",
        "pool_use_lifo: this pool gives out the connection that has waited longest",
    ]
