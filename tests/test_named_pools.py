"""PostgreSQL pools with names: where they are declared, that they are apart, and how they end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Run, Serve, clean_environment, running
from support import open_folder

MAIN = """
import contextlib
import json
import os
import subprocess
import sys
import time

import puff

db, reports = puff.global_postgres(), puff.global_postgres("reports")
WHERE = "SELECT current_database() AS name"
SESSIONS = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = $1"


def name_of(pool):
    return pool.query(WHERE)[0]["name"]


def make():
    with contextlib.suppress(puff.DatabaseError):
        db.execute("CREATE DATABASE second")
    (row,) = db.query("SELECT current_setting('unix_socket_directories') AS at, current_user AS name")
    print(f"postgres://{row['name']}@/second?host={row['at']}", flush=True)
    puff.sleep(600)  # the server stays as long as somebody uses it


def apart():
    reports.script("DROP TABLE IF EXISTS figure; CREATE TABLE figure (n int); INSERT INTO figure VALUES (7)")
    rows = reports.execute("UPDATE figure SET n = n + 1")
    try:
        db.query("SELECT n FROM figure")
    except puff.DatabaseError as error:
        state = error.sqlstate
    same = [puff.global_postgres("reports") is reports, puff.global_postgres() is db, reports is not db]
    found = reports.query("SELECT n FROM figure")
    print(json.dumps([name_of(db), name_of(reports), rows, found, state, same]))
    print(repr(db), repr(reports))


def names():
    print(json.dumps([name_of(puff.global_postgres(name)) for name in sys.argv[1:]]))


def unknown():
    pool = puff.global_postgres("rep")
    for use in (lambda: pool.query("SELECT 1"), lambda: pool.execute("SELECT 1"),
                lambda: pool.script("SELECT 1"), pool.status):
        try:
            use()
        except puff.ServiceError as error:
            print(error)
    try:
        puff.global_postgres(7)
    except TypeError as error:
        print(error)


def limits():
    first = reports.status()
    waits = [puff.spawn(reports.query, "SELECT pg_sleep(3)") for _ in range(3)]

    def all_there(status):
        return status["in_use"] == 2 and status["waiting"] == 1

    while not all_there(busy := reports.status()) and not all(each.ready() for each in waits):
        puff.sleep(0.005)
    other = db.status()
    puff.join_all(waits)
    print(json.dumps([first, busy, other, reports.status()]))


def full():
    while not reports.status()["idle"]:  # to open one may take longer than the time-out
        with contextlib.suppress(TimeoutError):
            reports.query("SELECT 1")
    before = reports.status()["timed_out"]
    holder = puff.spawn(reports.query, "SELECT pg_sleep(60)")
    while not reports.status()["in_use"]:
        puff.sleep(0.005)
    started = time.monotonic()
    try:
        reports.query("SELECT 1")
    except TimeoutError as error:
        print(0.1 < time.monotonic() - started < 30, "at most 1" in str(error))
        print(reports.status()["timed_out"] - before)
    print(db.query("SELECT 1 AS n"))
    holder.kill()


def replaced():
    pids = []
    for _ in range(2):
        pids.append(reports.query("SELECT pg_backend_pid() AS pid")[0]["pid"])
        # With "stays" nothing ends, and there is nothing to wait for.
        done = time.monotonic() + (0.5 if sys.argv[1:] == ["stays"] else 30)
        while sum(reports.status()["closed"].values()) < len(pids) and time.monotonic() < done:
            puff.sleep(0.05)
    reports.query("SELECT 1")
    print(pids[0] != pids[1], reports.status()["closed"])


def kept_open():
    db.query("SELECT 1")
    deadline = time.monotonic() + 30
    while db.status()["idle"] < 2 and time.monotonic() < deadline:
        puff.sleep(0.02)
    print(db.status()["idle"], db.status()["max_size"], reports.status()["size"])


def leave_busy():
    reports.query("SELECT 1")
    puff.spawn(reports.query, "SELECT pg_sleep(60)")
    puff.sleep(0.2)


def count_sessions():
    # Sessions end a moment after their sockets do.
    deadline = time.monotonic() + 30
    while (n := db.query(SESSIONS, [sys.argv[1]])[0]["n"]) and time.monotonic() < deadline:
        puff.sleep(0.05)
    print(n)


def view(environ, start_response):
    rows = reports.query("SELECT current_database() AS name")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [rows[0]["name"].encode()]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Path, str]]:
    """A project whose private server has a second database; and that one's URL."""
    with open_folder() as folder:
        (folder / "main.py").write_text(MAIN)
        with running("run", "main.make", cwd=folder) as made:
            made.wait_for("second")
            yield folder, made.out.strip()


def test_pools_are_apart(server: tuple[Path, str], puff: Run) -> None:
    done = run(puff, server, "apart", f"[postgres.reports]\nurl = '{server[1]}'\n")
    first, second = done.stdout.splitlines()
    assert json.loads(first) == ["puff", "second", 1, [{"n": 8}], "42P01", [True] * 3]
    assert second == "puff.global_postgres() puff.global_postgres('reports')"


def test_a_server_and_plain_python_have_them(server: tuple[Path, str], serve: Serve) -> None:
    folder, url = server
    (folder / "puff.toml").write_text(f"[postgres.reports]\nurl = '{url}'\n")
    with serve("--wsgi", "main:view", cwd=folder) as running:
        assert running.get("/").text == "second"
    code = "import main, sys; sys.argv = ['', 'reports']; main.names()"
    # Not through `puff`: the runtime starts in the background here.
    plain = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (plain.returncode, plain.stdout) == (0, '["second"]\n'), plain.stderr


def test_variables_declare_pools_and_win(server: tuple[Path, str], puff: Run) -> None:
    nowhere = "postgres://nobody@/none?host=/nowhere"
    text = f"[postgres.reports]\nurl = '{nowhere}'\n[postgres.private]\n"
    variables = {"PUFF_POSTGRES_REPORTS_URL": server[1], "PUFF_POSTGRES_WAREHOUSE_2_URL": server[1]}
    done = run(puff, server, "names", text, "reports", "warehouse_2", "private", env=variables)
    assert json.loads(done.stdout) == ["second", "second", "puff"]


def test_an_unknown_name_tells_the_known(server: tuple[Path, str], puff: Run) -> None:
    done = run(puff, server, "unknown", "[postgres.warehouse]\n[postgres.reports]\n")
    wrong = 'this program has no PostgreSQL pool "rep": it has reports, warehouse'
    assert done.stdout.splitlines() == [wrong] * 4 + ["the name of a pool is a str, not int"]
    done = run(puff, server, "unknown", "")
    assert done.stdout.splitlines()[0] == (
        'this program has no PostgreSQL pool "rep": it has none with a name '
        "(a pool is a table [postgres.NAME] in puff.toml)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("postgres = 'x'", "puff.toml: postgres: a pool is a table, [postgres.NAME]"),
        ("[postgres]\nurl = 'x'", "puff.toml: postgres.url: a pool is a table, [postgres.NAME]"),
        ("[postgres.Big]", "puff.toml: postgres.Big: the name of a pool is lower-case letters"),
        ("[postgres.a]\nurls = 'x'", 'unknown key "postgres.a.urls" (did you mean "url"?)'),
        ("[postgres.a]\ncolour = 'x'", 'unknown key "postgres.a.colour"'),
        ("[postgres.a.b]\nurl = 'x'", 'puff.toml: unknown key "postgres.a.b"'),
        ("[postgres.a]\nurl = 'mysql://u:secret@h/d'", "puff.toml: postgres.a.url: "),
        ("[postgres.a]\npool_size = 0", 'postgres.a.pool_size: "0" is not a whole number above 0'),
        ("[postgres.a]\nmin_size = -1", 'postgres.a.min_size: "-1" is not a whole number'),
        ("[postgres.a]\nacquire_timeout = 'soon'", 'postgres.a.acquire_timeout: "soon" is not a duration'),
        ("postgres_idle_timeout = true", 'puff.toml: postgres_idle_timeout: "true" is not a duration'),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(tmp_path: Path, puff: Run, text: str, message: str) -> None:
    (tmp_path / "puff.toml").write_text(text)
    done = puff("run", "main.nothing", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("puff: error: ")
    assert message in line
    assert "secret" not in line


def test_a_wrong_variable_is_named(tmp_path: Path, puff: Run) -> None:
    done = puff("run", "main.nothing", cwd=tmp_path, env={"PUFF_POSTGRES_A_URL": "mysql://u:secret@h/d"})
    assert done.returncode == 2
    assert done.stderr.startswith("puff: error: PUFF_POSTGRES_A_URL: ")
    assert "secret" not in done.stderr


def test_production_wants_a_url(server: tuple[Path, str], puff: Run) -> None:
    (server[0] / "puff.toml").write_text("[postgres.reports]\npool_size = 2\n")
    done = puff("run", "main.names", "reports", cwd=server[0], env={"PUFF_ENV": "production"})
    assert done.returncode == 2
    assert done.stderr == (
        'puff: error: PostgreSQL is not available: the pool "reports" has no URL: '
        "set PUFF_POSTGRES_REPORTS_URL, or url in [postgres.reports]\n"
    )


def test_status_tells_state_and_counts(server: tuple[Path, str], puff: Run) -> None:
    done = run(puff, server, "limits", f"[postgres.reports]\nurl = '{server[1]}'\npool_size = 2\n")
    first, busy, other, last = json.loads(done.stdout)
    nothing = dict.fromkeys(["broken", "idle", "old", "discarded", "unclean", "drained"], 0)
    counts = ["size", "idle", "in_use", "connecting", "waiting", "acquired", "waited", "timed_out"]
    assert first == {
        **dict.fromkeys([*counts, "opened", "open_failed"], 0),
        "max_size": 2,
        "wait_time": 0.0,
        "closed": nothing,
    }
    assert {key: busy[key] for key in counts[:5]} == {
        "size": 2,
        "idle": 0,
        "in_use": 2,
        "connecting": 0,
        "waiting": 1,
    }
    assert (other["max_size"], other["size"]) == (10, 0)
    assert (last["size"], last["idle"], last["opened"], last["acquired"]) == (2, 2, 2, 3)
    assert last["wait_time"] > 0.1


def test_a_full_pool_leaves_the_others_alone(server: tuple[Path, str], puff: Run) -> None:
    text = f"[postgres.reports]\nurl = '{server[1]}'\npool_size = 1\nacquire_timeout = '200ms'\n"
    assert run(puff, server, "full", text).stdout == "True True\n1\n[{'n': 1}]\n"


def test_connections_are_replaced_in_time(server: tuple[Path, str], puff: Run) -> None:
    for key, reason in (("max_lifetime", "old"), ("idle_timeout", "idle")):
        done = run(puff, server, "replaced", f"[postgres.reports]\nurl = '{server[1]}'\n{key} = '100ms'\n")
        changed, _, closed = done.stdout.strip().partition(" ")
        counts = json.loads(closed.replace("'", '"'))
        assert changed == "True"
        assert [name for name, count in counts.items() if count] == [reason]
    never = "max_lifetime = 0\nidle_timeout = '0s'\n"
    done = run(puff, server, "replaced", f"[postgres.reports]\nurl = '{server[1]}'\n{never}", "stays")
    assert done.stdout.startswith("False ")


def test_the_own_pool_has_the_same_limits(server: tuple[Path, str], puff: Run) -> None:
    flags = ("--postgres-min-size", "2")
    done = run(puff, server, "kept_open", "postgres_pool_size = 4\n[postgres.reports]\n", flags=flags)
    assert done.stdout == "2 4 0\n"


def test_pools_end_with_the_program(server: tuple[Path, str], puff: Run) -> None:
    mark = "ends_with_the_program"
    text = f"[postgres.reports]\nurl = '{server[1]}&application_name={mark}'\nmin_size = 3\n"
    left = run(puff, server, "leave_busy", text)
    assert left.stderr == ""
    assert run(puff, server, "count_sessions", "", mark).stdout == "0\n"


def run(
    puff: Run,
    server: tuple[Path, str],
    function: str,
    text: str,
    *arguments: str,
    flags: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a function of the project under this `puff.toml`; it must end well."""
    (server[0] / "puff.toml").write_text(text)
    done = puff(*flags, "run", f"main.{function}", *arguments, cwd=server[0], env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
