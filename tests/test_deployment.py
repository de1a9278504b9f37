"""The files of the deployment guide, read by the programs that they are for."""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from own_postgres import PASSWORD, OwnPostgres, own_postgres
from own_valkey import OwnValkey, own_valkey
from stack import PUFF, ROOT, Run, Serve, clean_environment, free_port
from support import eventually, open_folder
from test_guide import blocks
from websockets.sync.client import connect

PAGE = ROOT / "docs" / "guide" / "deployment.md"
FILES = {block.option("file"): block.text for block in blocks(PAGE) if block.option("file")}
APP = """
import json

import puff
from puff import postgres
from puff.web import event_stream


@puff.websocket("/talk")
def talk(ws):
    ws.bind("talk", echo=True)
    for text in ws:
        puff.global_pubsub().publish("talk", text)


def app(environ, start_response):
    if environ["PATH_INFO"] == "/events":
        stream = event_stream("talk")
        start_response("200 OK", stream.headers)
        return stream
    told = {
        "client": environ["REMOTE_ADDR"],
        "scheme": environ["wsgi.url_scheme"],
        "host": environ["HTTP_HOST"],
        "id": puff.request_id(),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]
"""


def program(name: str) -> str:
    """A program that may be absent, but not in CI."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {name} here; see scripts/")
    return str(found)


def done(*command: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


@pytest.mark.parametrize("name", ["shop.service", "shop.socket"])
def test_units(name: str, tmp_path: Path) -> None:
    """With a program that is there, and a user that every system has."""
    (tmp_path / "puff").symlink_to(PUFF)
    for unit in ("shop.service", "shop.socket"):
        text = FILES[unit].replace("/srv/shop/.venv/bin/puff", str(tmp_path / "puff"))
        (tmp_path / unit).write_text(text.replace("User=shop", "User=daemon"))
    checked = done(program("systemd-analyze"), "verify", "--man=no", str(tmp_path / name))
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_service_starts_what_there_is(tmp_path: Path) -> None:
    """Its command, in its folder, with its variables: settings that are known, with values that they take."""
    command = re.search(r"^ExecStart=(.*)$", FILES["shop.service"], re.MULTILINE)
    assert command is not None
    (tmp_path / "puff.toml").write_text(FILES["puff.toml"])
    (tmp_path / "shop.py").write_text(APP)
    variables = dict(line.split("=", 1) for line in FILES["shop.env"].splitlines())
    words = [str(PUFF), *shlex.split(command[1])[1:], "--check-config"]
    checked = done(*words, cwd=tmp_path, env=clean_environment(**variables))
    assert (checked.returncode, checked.stdout) == (0, "OK\n"), checked.stderr


def test_the_container_file(tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text(FILES["Containerfile"])
    checked = done(str(Path(sys.executable).parent / "hadolint"), str(tmp_path / "Containerfile"))
    assert (checked.returncode, checked.stdout) == (0, "")
    command = re.search(r"^CMD (\[.*\])$", FILES["Containerfile"], re.MULTILINE)
    assert command is not None
    (tmp_path / "puff.toml").write_text('wsgi = "shop:app"\n')
    (tmp_path / "shop.py").write_text(APP)
    words = [str(PUFF), *json.loads(command[1])[1:], "--check-config"]
    assert done(*words, cwd=tmp_path, env=clean_environment()).stdout == "OK\n"


@pytest.fixture(scope="module")
def valkey() -> Iterator[OwnValkey]:
    with own_valkey() as server:
        yield server


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def nginx(folder: Path, text: str) -> Iterator[int]:
    """The guide's nginx on a free port, which it is; ends with the block."""
    port = free_port()
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    owner = "" if os.getuid() else f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};\n"
    temporary = "".join(
        f"{each}_temp_path {folder}/{each};\n"
        for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"{owner}daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{text}}}\n"
    )
    command = [program("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    checked = done(*command, "-t")
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        assert eventually(partial(accepts, port)), (folder / "error.log").read_text()
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_behind_nginx(valkey: OwnValkey, serve: Serve) -> None:
    """Two nodes behind it, with one Redis between them: what a client says at one is heard at the other."""
    with open_folder() as folder, contextlib.ExitStack() as stack:
        (folder / "shop.py").write_text(APP)
        settings = FILES["puff.toml"].replace('"auto"', "1").replace("metrics_bind", "# metrics_bind")
        (folder / "shop.toml").write_text(settings)
        (folder / "static").mkdir()
        (folder / "static" / "shop.css").write_text("body {}")
        sockets = []
        for node in ("one", "two"):
            unix = folder / f"{node}.sock"
            environment = {"PUFF_CONFIG": "shop.toml", "PUFF_REDIS_URL": valkey.url}
            stack.enter_context(serve(cwd=folder, env=environment, also=f"unix:{unix}"))
            sockets.append(f"server unix:{unix};")
        text = FILES["nginx.conf"].replace("server unix:/run/shop/web.sock;", " ".join(sockets))
        port = stack.enter_context(nginx(folder, text.replace("/srv/shop/static/", f"{folder}/static/")))
        url = f"http://127.0.0.1:{port}"

        def told(*options: str) -> Any:
            asked = done("curl", "-sS", "--fail-with-body", *options, f"{url}/")
            assert asked.returncode == 0, (asked.stderr, asked.stdout, (folder / "error.log").read_text())
            return json.loads(asked.stdout)

        first = told("-H", "X-Forwarded-For: 6.6.6.6", "-H", "Host: shop.example.org")
        assert (first["client"], first["scheme"]) == ("127.0.0.1", "http")
        assert first["host"] == "shop.example.org"
        assert len(first["id"]) == 32  # nginx's own
        assert done("curl", "-sf", f"{url}/static/shop.css").stdout == "body {}"

        listeners = [stack.enter_context(connect(f"ws://127.0.0.1:{port}/talk")) for _ in range(4)]
        command = ["curl", "-sN", f"{url}/events"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
            assert events.stdout is not None
            try:
                for number in range(20):  # some before the stream is there, some after
                    listeners[0].send(f"hello {number}")
                    heard = [each.recv(timeout=10) for each in listeners]
                    assert heard == [f"hello {number}"] * 4
                    if number == 0:
                        assert events.stdout.readline()  # a comment, with which a stream begins
                assert any(line.startswith("data: hello") for line in iter(events.stdout.readline, ""))
            finally:
                events.kill()


def test_several_nodes() -> None:
    """The nodes in the place of the one; nginx starts, and asks none of them."""
    [nodes] = [block.text for block in blocks(PAGE) if block.language == "nginx" and not block.option("file")]
    _, _, rest = FILES["nginx.conf"].partition("}\n")
    with open_folder() as folder, nginx(folder, nodes + rest):
        pass


@pytest.fixture(scope="module")
def postgres() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        yield server


THROUGH = """
import puff
from puff import postgres

def main():
    db = puff.global_postgres()
    sql = "SELECT $1::int AS n, pg_sleep(0.01)"
    rows = puff.join_all([puff.spawn(db.query, sql, [n]) for n in range(60)])
    print([row[0]["n"] for row in rows] == list(range(60)))
    def transaction(n):
        connection = postgres.connect(db.dsn())
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT set_config('shop.n', %s, true)", (str(n),))
            cursor.execute("SELECT current_setting('shop.n'), pg_sleep(0.01)")
            found = cursor.fetchone()[0]
        connection.close()
        return found
    print(puff.join_all([puff.spawn(transaction, n) for n in range(40)]) == [str(n) for n in range(40)])
    print(db.query("SELECT count(*) <= 20 AS few FROM pg_stat_activity WHERE usename = 'tester'"))
"""


def test_through_pgbouncer(postgres: OwnPostgres, puff: Run) -> None:
    with open_folder() as folder:
        port = free_port()
        text = FILES["pgbouncer.ini"]
        settings = {
            r"^shop = .*$": f"shop = host=127.0.0.1 port={postgres.port} dbname=postgres",
            r"^listen_port = .*$": f"listen_port = {port}\nunix_socket_dir =\nlogfile = {folder}/log",
            r"^auth_file = .*$": f"auth_file = {folder}/userlist.txt",
        }
        for pattern, line in settings.items():
            text, count = re.subn(pattern, line, text, flags=re.MULTILINE)
            assert count == 1, pattern
        (folder / "pgbouncer.ini").write_text(text)
        (folder / "userlist.txt").write_text(f'"tester" "{PASSWORD}"\n')
        (folder / "through.py").write_text(THROUGH)
        user = [] if os.getuid() else ["-u", "nobody"]
        if user:
            shutil.chown(folder, "nobody")
        process = subprocess.Popen(
            [program("pgbouncer"), *user, str(folder / "pgbouncer.ini")],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert eventually(
                lambda: (folder / "log").exists() and "process up" in (folder / "log").read_text()
            )
            password = PASSWORD.replace(" ", "%20")
            url = f"postgres://tester:{password}@127.0.0.1:{port}/shop?pgbouncer=true"
            asked = puff("run", "through.main", cwd=folder, env={"PUFF_POSTGRES_URL": url})
            assert asked.returncode == 0, asked.stdout + asked.stderr
            assert asked.stdout.splitlines() == ["True", "True", "[{'few': True}]"]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
