"""Several processes that serve: start, reload, replacement, signals, the end. Real processes under load.

PUFF_SIGTERMS sets how often a server under load is stopped, alone and with workers: 150 times in `make soak`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h2.config
import h2.connection
import hyperframe.frame
import pytest
from load import LATE, Load
from stack import PUFF, ROOT, Run, Serve, Server, clean_environment, free_port, running
from support import NOBODY, eventually, is_alive, open_folder, ordinary_user

SIGTERMS = int(os.environ.get("PUFF_SIGTERMS", "6"))

APP = """
import os

import puff

VERSION = "1"
kept = []


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        puff.sleep(0.5)
    elif path == "/nap":
        puff.sleep(0.02)
    elif path in ("/stuck", "/held"):
        with open("begun", "a") as file:
            file.write(".")
        while path == "/stuck" or not os.path.exists("released"):
            puff.sleep(0.01)
    elif path == "/die":
        os._exit(3)
    elif path == "/grow":
        kept.append(bytearray(os.urandom(1) * (64 << 20)))
    answer = {
        "/version": VERSION,
        "/multiprocess": str(environ["wsgi.multiprocess"]),
        "/user": f"{os.getuid()} {os.getgid()} {os.environ.get('HOME')}",
        "/variables": " ".join(sorted(name for name in os.environ if name.startswith("PUFF_"))),
    }.get(path, f"{os.getpid()} {'x' * 2000}").encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "puff.toml").write_text('wsgi = "app:app"\n')
    return tmp_path


def children(pid: int) -> list[int]:
    """The processes that a process has started and that live."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return sorted(child for child in map(int, text.split()) if is_alive(child))


def workers(server: Server) -> list[int]:
    """The worker processes of a supervisor."""
    return children(server.process.pid)


def title(pid: int) -> str:
    """What `ps` shows for a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()


def begun(project: Path, count: int) -> bool:
    """Whether so many requests come to be in work that wait for a file, or for ever."""
    file = project / "begun"
    return eventually(lambda: file.exists() and len(file.read_text()) == count, 30)


def refuses(server: Server) -> bool:
    """Whether the server comes to take no more connections."""
    return eventually(lambda: one_request(server.port, "/") == "refused", 30)


def log_has(server: Server, text: str) -> bool:
    """Whether the server comes to say something."""
    if eventually(lambda: text in server.log.read_text(), 30):
        return True
    print(server.log.read_text())
    return False


# ---------------------------------------------------------------------------- at work


def test_workers_share_the_sockets(project: Path, serve: Serve) -> None:
    with serve("--workers", "2", cwd=project) as server:
        assert log_has(server, f"Serving app:app on {server.url}/ with 2 workers")
        assert [title(pid) for pid in workers(server)] == ["puff: worker 1", "puff: worker 2"]
        assert title(server.process.pid) == "puff: supervisor"
        assert Path(f"/proc/{workers(server)[0]}/comm").read_text() == "puff: worker 1\n"
        with Load(server.port) as load:
            assert eventually(lambda: len(load.answers) == 2)
        load.assert_flawless()
        assert sorted(map(int, load.answers)) == workers(server)
        # What a worker knows of its supervisor is not for the processes that it starts.
        assert server.get("/variables").text == "PUFF_DEBUG PUFF_WATCHDOG"  # which `serve` sets
        assert server.get("/multiprocess").text == "True"
        assert server.stop() == 0
    assert "Ctrl-C stops" in server.log.read_text()


def test_one_worker_and_unix_sockets(project: Path, serve: Serve) -> None:
    path = project / "web.sock"
    with serve("--workers", "1", also=f"unix:{path}", cwd=project) as server:
        assert server.get("/version").text == "1"
        assert server.get("/multiprocess").text == "False"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        server.process.send_signal(signal.SIGHUP)
        assert log_has(server, "the new workers are ready")
        assert path.exists()
        assert server.stop() == 0
    assert not path.exists()


# ---------------------------------------------------------------------------- reload


def test_a_reload_under_load_loses_nothing(project: Path, serve: Serve) -> None:
    with serve("--workers", "2", cwd=project) as server:
        assert log_has(server, "with 2 workers")
        with Load(server.port) as load:
            for version in "234":
                old = workers(server)
                (project / "app.py").write_text(APP.replace('VERSION = "1"', f'VERSION = "{version}"'))
                server.process.send_signal(signal.SIGHUP)
                assert eventually(lambda: not set(old) & set(workers(server)), 30)  # noqa: B023
                load.wait_for(50)
                assert server.get("/version").text == version
                assert len(workers(server)) == 2
        load.assert_flawless()
        assert load.closing > 0
        assert server.stop() == 0


def test_a_reload_takes_new_settings(project: Path) -> None:
    port, more = free_port(), free_port()

    def configure(*lines: str) -> None:
        (project / "puff.toml").write_text("\n".join(['wsgi = "app:app"', *lines, ""]))

    configure("workers = 1", f'bind = "127.0.0.1:{port}"')
    with running("runserver", cwd=project) as program:
        program.wait_for("with 1 worker")
        configure("workers = 2", f'bind = "127.0.0.1:{port}, 127.0.0.1:{more}"', 'mount = "/shop"')
        old = children(program.process.pid)
        program.process.send_signal(signal.SIGHUP)
        program.wait_for("the new workers are ready")
        assert eventually(lambda: not set(old) & set(children(program.process.pid)))
        assert len(children(program.process.pid)) == 2
        for place in (port, more):
            found = Server(f"http://127.0.0.1:{place}", program.process, project)  # type: ignore[arg-type]
            assert found.get("/version").status == 404
            assert found.get("/shop/version").text == "1"
        configure("workers = 2", "bind = 'nowhere'")
        program.process.send_signal(signal.SIGHUP)
        program.wait_for("nothing is reloaded")
        assert '"nowhere" is not an address' in program.err
        configure("workers = 1", f'bind = "127.0.0.1:{port}"')
        program.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: len(children(program.process.pid)) == 1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", more), timeout=5)
        assert program.stop() == 0


def test_old_workers_go_on_if_new_ones_do_not_start(project: Path, serve: Serve) -> None:
    with serve("--workers", "2", cwd=project) as server:
        assert log_has(server, "with 2 workers")
        old = workers(server)
        with Load(server.port) as load:
            (project / "app.py").write_text("import a_module_that_is_not_there\n")
            server.process.send_signal(signal.SIGHUP)
            assert log_has(server, "the workers before it go on")
            load.wait_for(50)
        load.assert_flawless()
        assert "No module named 'a_module_that_is_not_there'" in server.log.read_text()
        assert workers(server) == old
        (project / "app.py").write_text(APP.replace('VERSION = "1"', 'VERSION = "2"'))
        server.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: not set(old) & set(workers(server)))
        assert server.get("/version").text == "2"


# ---------------------------------------------------------------------------- replacement


def test_only_the_requests_of_a_killed_worker_fail(project: Path, serve: Serve) -> None:
    with serve("--workers", "2", cwd=project) as server:
        assert log_has(server, "with 2 workers")
        with Load(server.port) as load:
            load.wait_for(100)
            victim = workers(server)[0]
            os.kill(victim, signal.SIGKILL)
            assert log_has(server, f"(process {victim}) was ended by SIGKILL; another takes its place")
            assert eventually(lambda: len(workers(server)) == 2)
            for _ in range(2):
                goal = load.count + 100
                assert eventually(lambda: load.count >= goal, 60)  # noqa: B023
        # Each client has one request at a time.
        assert len(load.errors) <= 6, load.errors
        assert all(re.match("RemoteDisconnected|ConnectionReset|IncompleteRead", e) for e in load.errors)


def test_workers_that_keep_ending_are_started_ever_more_slowly(project: Path, serve: Serve) -> None:
    text = "3 workers in a row have ended soon after their start; the next one starts in 1s"

    with serve("--workers", "1", cwd=project) as server:

        def has_died_again() -> bool:
            one_request(server.port, "/die")
            return text in server.log.read_text()

        assert eventually(has_died_again, 60)
        assert "ended with status 3" in server.log.read_text()
        assert server.stop() == 0


def test_a_program_that_cannot_be_imported_ends_the_supervisor(project: Path, puff: Run) -> None:
    (project / "app.py").write_text("import a_module_that_is_not_there\n")
    ended = puff("runserver", "--workers", "3", "--bind", str(free_port()), cwd=project)
    assert ended.returncode == 2
    assert ended.stderr.count("ModuleNotFoundError") == 1
    assert "puff: error: the import of app:app failed" in ended.stderr
    ended = puff("runserver", "--workers", "3", "--threads", "many", cwd=project)
    assert (ended.returncode, ended.stderr) == (
        2,
        'puff: error: --threads: "many" is not a whole number above 0\n',
    )


@pytest.mark.parametrize("how", ["requests", "lifetime", "memory"])
def test_workers_have_limits(project: Path, serve: Serve, how: str) -> None:
    limit = {"requests": "100", "lifetime": "1s", "memory": "200MiB"}[how]
    with serve("--workers", "2", f"--worker-{how}", limit, cwd=project) as server:
        assert log_has(server, "with 2 workers")
        first = workers(server)
        with Load(server.port) as load:
            deadline = time.monotonic() + 60
            while set(first) & set(workers(server)) and not load.errors:
                assert time.monotonic() < deadline, server.log.read_text()
                if how == "memory":
                    server.get("/grow")
                time.sleep(0.5 if how == "memory" else 0.05)
            load.wait_for(50)
        load.assert_flawless()
        said = {"requests": "its share of requests", "lifetime": "has served for", "memory": "MiB"}[how]
        assert said in server.log.read_text()


def test_limits_of_workers_need_workers(project: Path, puff: Run) -> None:
    ended = puff("runserver", "--worker-requests", "5", cwd=project)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "it needs --workers" in ended.stderr


def test_signals_make_a_crew_larger_and_smaller(project: Path, serve: Serve) -> None:
    with serve("--workers", "1", cwd=project) as server:
        assert log_has(server, "with 1 worker")
        server.process.send_signal(signal.SIGTTIN)
        assert eventually(lambda: len(workers(server)) == 2)
        assert log_has(server, "2 workers from now on")
        server.process.send_signal(signal.SIGTTOU)
        assert eventually(lambda: len(workers(server)) == 1)
        assert server.get("/version").status == 200


# ---------------------------------------------------------------------------- the end


def read_all(connection: socket.socket) -> bytes:
    received = b""
    with connection:
        while chunk := connection.recv(65536):
            received += chunk
    return received


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["alone", "supervised"])
def test_a_stop_lets_requests_finish_and_says_so(
    project: Path, serve: Serve, arguments: tuple[str, ...]
) -> None:
    with serve(*arguments, cwd=project) as server:
        assert server.get("/version").status == 200
        idle = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        idle.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"connection: close" not in idle.recv(1000).lower()
        asked = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(4)]
        idle.sendall(b"GET /version HTTP/1.1\r\n")
        for connection in asked:
            connection.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
        assert begun(project, len(asked))
        server.process.send_signal(signal.SIGTERM)
        assert refuses(server)
        # A request that was on its way is answered, with the word that there is no next one.
        idle.sendall(b"Host: x\r\n\r\n")
        answer = read_all(idle)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nconnection: close\r\n" in answer.lower()
        (project / "released").touch()
        for connection in asked:
            answer = read_all(connection)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"\r\nconnection: close\r\n" in answer.lower()
            assert answer.endswith(b"x" * 2000)
        assert server.process.wait(15) == 0


def read_frames(connection: socket.socket) -> Iterator[hyperframe.frame.Frame]:
    """The frames that a server sends, to the end; its pings are answered."""
    received = b""
    while data := connection.recv(65536):
        received += data
        while len(received) >= 9:
            frame, length = hyperframe.frame.Frame.parse_frame_header(memoryview(received[:9]))
            if len(received) < 9 + length:
                break
            frame.parse_body(memoryview(received[9 : 9 + length]))
            received = received[9 + length :]
            if isinstance(frame, hyperframe.frame.PingFrame) and "ACK" not in frame.flags:
                answer = hyperframe.frame.PingFrame(0, frame.opaque_data, flags=["ACK"])
                connection.sendall(answer.serialize())
            yield frame


def test_http2_says_good_bye(project: Path, serve: Serve) -> None:
    with serve("--workers", "1", cwd=project) as server:
        assert server.get("/version").status == 200
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
            client.initiate_connection()
            head = [(":method", "GET"), (":path", "/held"), (":scheme", "http"), (":authority", "x")]
            client.send_headers(1, head, end_stream=True)
            connection.sendall(client.data_to_send())
            assert begun(project, 1)
            server.process.send_signal(signal.SIGTERM)
            # Frame by frame: h2 takes a GOAWAY for the end and no more frames after it.
            frames = []
            for frame in read_frames(connection):
                frames.append(frame)
                if isinstance(frame, hyperframe.frame.GoAwayFrame):
                    (project / "released").touch()
        names = [type(frame).__name__ for frame in frames]
        assert "GoAwayFrame" in names
        body = b"".join(frame.data for frame in frames if isinstance(frame, hyperframe.frame.DataFrame))
        assert body.endswith(b"x" * 2000)
        assert names.index("GoAwayFrame") < names.index("DataFrame")
        assert server.process.wait(15) == 0


def test_what_does_not_end_is_ended(project: Path, serve: Serve) -> None:
    with serve("--workers", "1", "--shutdown-timeout", "300ms", cwd=project) as server:
        assert server.get("/version").status == 200
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as stuck:
            stuck.sendall(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
            assert begun(project, 1)
            assert server.stop() == 0


def test_a_second_signal_ends_at_once(project: Path, serve: Serve) -> None:
    with serve("--workers", "2", "--shutdown-timeout", "60s", cwd=project) as server:
        assert log_has(server, "with 2 workers")
        assert server.get("/version").status == 200
        found = workers(server)
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as stuck:
            stuck.sendall(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
            assert begun(project, 1)
            server.process.send_signal(signal.SIGINT)
            assert log_has(server, "stopping 2 workers")
            assert server.stop(signal.SIGINT) == 130
        assert not any(map(is_alive, found))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_of_them_is_one_signal(project: Path, signum: int) -> None:
    """Ctrl-C goes to all processes of a terminal, the SIGTERM of systemd to all of a service."""
    port, log = free_port(), project / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [PUFF, "runserver", "--workers", "2", "--bind", str(port)],
            cwd=project,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)  # type: ignore[arg-type]
    try:
        assert log_has(server, "with 2 workers")
        with ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(server.get, "/held") for _ in range(4)]
            assert begun(project, len(answers))
            os.killpg(process.pid, signum)
            assert refuses(server)
            (project / "released").touch()
            assert all(answer.result().status == 200 for answer in answers)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()


def test_no_worker_outlives_its_supervisor(project: Path, serve: Serve) -> None:
    with serve("--workers", "2", cwd=project) as server:
        assert log_has(server, "with 2 workers")
        assert server.get("/version").status == 200
        found = workers(server)
        server.process.kill()
        server.process.wait()
        assert eventually(lambda: not any(map(is_alive, found)))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=5)


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["alone", "supervised"])
def test_stops_under_load_lose_no_request_in_work(
    project: Path, serve: Serve, arguments: tuple[str, ...]
) -> None:
    moments = random.Random(1)
    answered = refused = 0
    for _ in range(SIGTERMS):
        with serve(*arguments, cwd=project) as server:
            assert server.get("/version").status == 200
            asked: list[str] = []

            def ask(path: str, port: int = server.port, asked: list[str] = asked) -> None:
                while asked.count("refused") < 30:
                    asked.append(one_request(port, path))

            with ThreadPoolExecutor(6) as pool:
                clients = [pool.submit(ask, path) for path in ("/", "/nap") * 3]
                assert eventually(lambda: "answered" in asked)  # noqa: B023
                time.sleep(0.1 + moments.random() * 0.3)
                server.process.send_signal(signal.SIGTERM)
                status = server.process.wait(40)
                for client in clients:
                    client.result()
            # Nobody had to be ended by force.
            assert "in time" not in server.log.read_text(), server.log.read_text()
            assert status == 0, server.log.read_text()
            assert asked.count("answered") > 0
            assert asked.count("lost") == 0, (asked.count("answered"), server.log.read_text())
            answered += asked.count("answered")
            refused += asked.count("refused")
    print(f"{SIGTERMS} stops: {answered} requests answered, 0 lost, {refused} refused unread")


def one_request(port: int, path: str) -> str:
    """What becomes of a request: `answered` whole, `refused` before anybody read it, or `lost`."""
    received, begun = b"", time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            is_late = time.monotonic() - begun > LATE
            while chunk := connection.recv(65536):
                received += chunk
    except ConnectionError:
        # Refused, or reset by the system with the socket that it had not handed it out from: whoever wants to
        # close that gap has systemd hold the socket. A request that was read ends with an answer, or with an
        # end without one, which is no error here.
        time.sleep(0.005)
        return "lost" if received else "refused"
    if is_late and not received:
        return "refused"
    whole = received.startswith(b"HTTP/1.1 200 ") and received.endswith(b"x" * 2000)
    return "answered" if whole else "lost"


def test_sockets_of_systemd_outlive_workers(project: Path) -> None:
    start = f"""
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv({str(PUFF)!r}, ["puff", "runserver", "--workers", "1"])
"""
    log = project / "log"
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener, log.open("w") as output:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-c", start, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            cwd=project,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        server = Server(f"http://127.0.0.1:{port}", process, log)  # type: ignore[arg-type]
        try:
            assert server.get("/version").text == "1"
            old = workers(server)
            with Load(port) as load:
                process.send_signal(signal.SIGHUP)
                assert eventually(lambda: workers(server) and not set(old) & set(workers(server)), 30)
                load.wait_for(50)
            load.assert_flawless()
            assert server.stop() == 0
        finally:
            process.kill()
            process.wait()


def test_the_supervisor_passes_a_wish_for_a_dump_on(project: Path, serve: Serve) -> None:
    with serve("--workers", "2", cwd=project) as server:
        assert log_has(server, "with 2 workers")
        server.process.send_signal(signal.SIGUSR1)
        assert eventually(lambda: server.log.read_text().count("_attend") >= 2, 30), server.log.read_text()
        assert server.get("/version").status == 200


# ---------------------------------------------------------------------------- pid file, user


@pytest.mark.parametrize("arguments", [(), ("--workers", "1")], ids=["alone", "supervised"])
def test_the_pid_file(project: Path, serve: Serve, puff: Run, arguments: tuple[str, ...]) -> None:
    path = project / "web.pid"
    ended = subprocess.Popen(["true"])
    ended.wait()
    path.write_text(f"{ended.pid}\n")
    with serve(*arguments, "--pid-file", str(path), cwd=project) as server:
        assert eventually(lambda: path.read_text() == f"{server.process.pid}\n")
        assert server.get("/version").status == 200
        other = puff("runserver", "--bind", str(free_port()), "--pid-file", str(path), cwd=project)
        assert (other.returncode, other.stderr.count("\n")) == (2, 1)
        assert f"process {server.process.pid} has written it and still runs" in other.stderr
        assert path.exists()
        assert server.stop() == 0
    assert not path.exists()
    missing = puff("runserver", "--pid-file", str(project / "no" / "web.pid"), cwd=project)
    assert missing.returncode == 2
    assert "No such file or directory" in missing.stderr


@contextlib.contextmanager
def served_by_root(*arguments: str) -> Iterator[Server]:
    """A server that root starts, with a Python that an ordinary user may read."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    command, environment, _ = ordinary_user()
    python = command[command.index("-m") - 1]
    from stack import serving

    with open_folder() as folder:
        (folder / "app.py").write_text(APP)
        with serving(
            "--wsgi",
            "app:app",
            *arguments,
            cwd=folder,
            env=environment,
            command=(python, "-m", "puff", "runserver"),
        ) as server:
            yield server


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["alone", "supervised"])
def test_another_user(arguments: tuple[str, ...]) -> None:
    with served_by_root("--user", str(NOBODY), "--umask", "077", *arguments) as server:
        assert server.get("/user").text.startswith(f"{NOBODY} {NOBODY} /")
        if arguments:
            assert Path(f"/proc/{server.process.pid}").stat().st_uid == 0
            assert log_has(server, "with 2 workers")
            server.process.send_signal(signal.SIGHUP)
            assert log_has(server, "the new workers are ready")
            assert server.get("/user").text.startswith(f"{NOBODY} {NOBODY} /")
        assert server.stop() == 0


def test_a_user_that_there_is_not(project: Path, puff: Run) -> None:
    ended = puff("runserver", "--user", "no-such-user", cwd=project)
    assert (ended.returncode, ended.stderr) == (
        2,
        'puff: error: --user: the system knows no user "no-such-user"\n',
    )


# ---------------------------------------------------------------------------- check and print


def test_the_configuration_is_checked(project: Path, puff: Run, serve: Serve) -> None:
    with serve(cwd=project) as server:
        # Also beside a server that runs.
        checked = puff("runserver", "--check-config", "--bind", str(server.port), cwd=project)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "OK\n", "")
    for arguments, said in [
        (["--wsgi", "app:nothing"], "nothing"),
        (["--wsgi", "app:VERSION"], "app:VERSION"),
        (["--tls-cert", "missing.pem", "--tls-key", "missing.pem"], "missing.pem"),
        (["--max-body", "much"], "much"),
    ]:
        checked = puff("runserver", "--check-config", *arguments, cwd=project)
        assert (checked.returncode, checked.stdout, checked.stderr.count("\n")) == (2, "", 1), checked.stderr
        assert said in checked.stderr
    (project / "app.py").write_text("1 / 0\n")
    checked = puff("runserver", "--check-config", cwd=project)
    assert (checked.returncode, checked.stdout) == (2, "")
    assert "ZeroDivisionError" in checked.stderr


def test_the_configuration_is_printed(project: Path, puff: Run) -> None:
    printed = puff(
        "runserver",
        "--print-config",
        "--max-body",
        "1MiB",
        cwd=project,
        env={"PUFF_POSTGRES_URL": "postgres://me:hush@db/shop"},
    )
    assert (printed.returncode, printed.stderr) == (0, "")
    lines = printed.stdout.splitlines()
    assert f'wsgi = "app:app"  # {project}/puff.toml' in lines
    assert 'max_body = "1MiB"  # --max-body' in lines
    assert 'postgres_url = "postgres://me:***@db/shop"  # PUFF_POSTGRES_URL' in lines
    assert "# bind: 127.0.0.1:8000" in lines
    # What is printed can be used.
    (project / "again.toml").write_text(printed.stdout)
    again = puff("runserver", "--print-config", "--config", "again.toml", cwd=project)
    assert 'max_body = "1MiB"  # again.toml' in again.stdout


# ---------------------------------------------------------------------------- Rust


@pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")
def test_a_program_that_embeds_python_has_workers_too(project: Path, serve: Serve) -> None:
    variables = {"PYO3_PYTHON": sys.executable, "VIRTUAL_ENV": sys.prefix}
    cargo = ["cargo", "build", "--quiet", "--manifest-path", str(ROOT / "Cargo.toml"), "-p", "puff-rs"]
    built = subprocess.run(
        [*cargo, "--bin", "puff", "--message-format", "json"],
        env=clean_environment(**variables),
        stdout=subprocess.PIPE,
        text=True,
        timeout=900,
        check=True,
    )
    binary = next(
        artifact["executable"]
        for artifact in map(json.loads, reversed(built.stdout.splitlines()))
        if artifact.get("executable")
    )
    with serve("--workers", "2", cwd=project, env=variables, command=(binary, "runserver")) as server:
        assert log_has(server, "with 2 workers")
        old = workers(server)
        assert [title(pid) for pid in old] == ["puff: worker 1", "puff: worker 2"]
        with Load(server.port) as load:
            server.process.send_signal(signal.SIGHUP)
            assert eventually(lambda: not set(old) & set(workers(server)), 30)
            load.wait_for(50)
        load.assert_flawless()
        assert server.get("/variables").text == "PUFF_DEBUG PUFF_WATCHDOG"  # which `serve` sets
        assert server.get("/multiprocess").text == "True"
        assert server.stop() == 0
