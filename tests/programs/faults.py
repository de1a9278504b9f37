"""Loses its server in every phase of a session's life, and prints what it saw; see `test_driver_faults`."""

import contextlib
import io
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback


def load(name):
    global driver, extensions
    if name == "puff":
        from puff.compat import psycopg2 as compat

        compat.install()
    import psycopg2 as driver
    import psycopg2.extensions as extensions


ME = f"fault-{os.getpid()}"


class Proxy:
    """Between the driver and the server: it can cut the line, or let nothing through."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = []
        self.allowed = None  # bytes from the server until the line is cut
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((os.environ["PGHOST"], int(os.environ["PGPORT"])))
            except OSError:
                near.close()
                continue
            self.pairs.append((near, far))
            threading.Thread(target=self.pump, args=(near, far), daemon=True).start()

    def pump(self, near, far):
        left = self.allowed
        if left == 0:
            return self.cut()
        try:
            while True:
                for source in select.select([near, far], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        raise OSError
                    if source is far and left is not None:
                        data = data[:left]
                        left -= len(data)
                    (far if source is near else near).sendall(data)
                    if left == 0:
                        raise OSError
        except (OSError, ValueError):
            self.cut()

    def cut(self):
        pairs, self.pairs = self.pairs, []
        for end in (end for pair in pairs for end in pair):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def connect(**more):
    return driver.connect(**{"application_name": ME, "gssencmode": "disable", **more})


def other(sql, *args):
    """A statement on another session, on the Unix socket."""
    for _ in range(300):
        try:
            connection = driver.connect(host=os.environ["SOCKETS"], application_name="other")
            try:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute(sql, args)
                    return cursor.fetchone()[0]
            finally:
                connection.close()
        except driver.OperationalError:
            time.sleep(0.1)  # it is on its way down, or up again
    raise SystemExit("the server did not come back")


def postmaster():
    with open(os.environ["POSTMASTER"]) as file:
        return int(file.readline())


# ---- how it goes away


def terminated(connection, proxy):
    other("SELECT pg_terminate_backend(%s, 5000)", connection.info.backend_pid)


def killed(connection, proxy):
    os.kill(connection.info.backend_pid, signal.SIGKILL)


def shut_down_at_once(connection, proxy):
    os.kill(postmaster(), signal.SIGQUIT)


def cut(connection, proxy):
    proxy.cut()


# ---- what it does meanwhile


class Slow(io.StringIO):
    def read(self, size=-1):
        time.sleep(0.002)
        return "1\n"


def in_a_query(connection, cursor):
    cursor.execute("SELECT pg_sleep(30)")


def in_a_transaction(connection, cursor):
    cursor.execute("SELECT 1")
    cursor.execute("SELECT pg_sleep(30)")


at_rest, gone = threading.Event(), threading.Event()


def rest():
    """Until the server has gone, and a moment more."""
    at_rest.set()
    gone.wait(60)
    time.sleep(0.6)


def idle(connection, cursor):
    cursor.execute("SELECT 1")
    connection.rollback()
    rest()
    cursor.execute("SELECT 2")


def idle_in_a_transaction(connection, cursor):
    cursor.execute("SELECT 1")
    rest()
    connection.commit()


def in_copy_in(connection, cursor):
    cursor.execute("CREATE TEMP TABLE t (a int)")
    cursor.copy_from(Slow(), "t")


def in_copy_out(connection, cursor):
    cursor.copy_expert(
        "COPY (SELECT pg_sleep(0.001), repeat('x', 1000) FROM generate_series(1, 30000)) TO STDOUT",
        io.StringIO(),
    )


def in_a_named_cursor(connection, cursor):
    named = connection.cursor("n")
    named.itersize = 10
    named.execute("SELECT pg_sleep(0.01) FROM generate_series(1, 3000)")
    for _ in named:
        pass


PHASES = [
    idle,
    in_a_query,
    in_a_transaction,
    idle_in_a_transaction,
    in_copy_in,
    in_copy_out,
    in_a_named_cursor,
]


def caught(call, *args):
    """Class, SQLSTATE, whether it has a cursor; the text is for who reads a failure."""
    start = time.monotonic()
    try:
        value = call(*args)
        seen = ["no error", repr(value)]
    except driver.Error as error:
        seen = [type(error).__name__, error.pgcode, str(error)]
    except Exception as error:
        seen = ["other", type(error).__name__, traceback.format_exc()]
    took = time.monotonic() - start
    return {"seen": seen, "took": took}


BUSY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE pid = %s AND state = 'active' AND (wait_event = 'PgSleep' OR query LIKE 'COPY%%')
"""


def one(way, phase):
    proxy = Proxy()
    other("SELECT 1")
    connection = connect(port=proxy.port) if way is cut else connect()
    cursor = connection.cursor()
    at_rest.clear()
    gone.clear()

    def go():
        if phase in (idle, idle_in_a_transaction):
            at_rest.wait(60)
        else:
            while not other(BUSY, connection.info.backend_pid):
                time.sleep(0.01)
        way(connection, proxy)
        gone.set()

    going = threading.Thread(target=go)
    going.start()
    found = caught(phase, connection, cursor)
    going.join()
    found["closed"] = connection.closed
    found["status"] = connection.get_transaction_status()
    found["cursor"] = caught(cursor.execute, "SELECT 1")["seen"][:2]
    found["another cursor"] = caught(connection.cursor)["seen"][:2]
    found["rollback"] = caught(connection.rollback)["seen"][:2]
    found["commit"] = caught(connection.commit)["seen"][:2]
    found["close"] = caught(connection.close)["seen"][:2]
    found["in the end"] = connection.closed
    proxy.listener.close()
    return found


REFUSED = {
    "wrong password": {"password": "swordfish"},
    "empty password": {"password": ""},
    "unknown database": {"dbname": "nowhere"},
    "unknown user": {"user": "nobody there", "password": "x"},
    "unknown host": {"host": "nowhere.invalid"},
    "no encryption there": {"sslmode": "require"},
    "no such socket": {"host": "/nowhere"},
    "nobody listens": {"port": 1},
    "unknown service": {"service": "nonesuch"},
    "refused option": {"options": "-c nonesuch=1"},
}
STRANGERS = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nothing": b"",
    "zeros": bytes(64),
    "a version that is too new": b"ESFATAL\0C0A000\0Munsupported frontend protocol\0\0",
}


def stranger(greeting):
    """The port of a server that says something else, once."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        with listener, contextlib.suppress(OSError):
            for _ in range(3):  # libpq comes again, without encryption
                listener.settimeout(30)
                line, _ = listener.accept()
                with line:
                    line.settimeout(30)
                    line.recv(1000)
                    line.sendall(greeting)

    threading.Thread(target=answer, daemon=True).start()
    return listener.getsockname()[1]


def connecting():
    found = {}
    for allowed in (0, 1, 20, 60, 300, 500):
        proxy = Proxy()
        proxy.allowed = allowed
        found[f"cut after {allowed} bytes"] = caught(connect_and_close, proxy.port)
    for name, parameters in REFUSED.items():
        found[name] = caught(lambda parameters=parameters: connect(**parameters).close())
    for name, greeting in STRANGERS.items():
        found[name] = caught(connect_and_close, stranger(greeting))
    pid = postmaster()
    os.kill(pid, signal.SIGQUIT)
    while os.path.exists(f"/proc/{pid}"):
        time.sleep(0.005)
    found["down"] = caught(connect)
    other("SELECT 1")
    os.kill(postmaster(), signal.SIGSTOP)
    try:
        found["hangs"] = caught(lambda: connect(connect_timeout=2))
    finally:
        os.kill(postmaster(), signal.SIGCONT)
    return found


def connect_and_close(port):
    connect(port=port).close()


def all_phases():
    found = {"connecting": connecting()}
    ways = {
        terminated: PHASES,
        cut: PHASES,
        killed: [in_a_query, in_copy_in],
        shut_down_at_once: [in_a_query],
    }
    for way, phases in ways.items():
        for phase in phases:
            found[f"{phase.__name__}, {way.__name__}"] = one(way, phase)
    for _ in range(300):
        left = other("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", ME)
        if not left:
            break
        time.sleep(0.1)
    found["left behind"] = left
    return found


def main():
    load("puff")
    print(json.dumps(all_phases()))


if __name__ == "__main__":
    load(sys.argv[1])
    print(json.dumps(all_phases()))
