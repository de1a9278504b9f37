"""Many greenlets on few sessions, and greenlets that end at any moment; see `test_driver_load`."""

import os
import random
import sys
import time

import puff
from puff import postgres
from puff._native import native
from puff.postgres import extensions
from puff.postgres._session import Session

ME = f"load-{os.getpid()}"
DSN = extensions.make_dsn(application_name=ME)
SIZE = 10
SECONDS = float(os.environ.get("SECONDS", "10"))
SEED = random.SystemRandom().randrange(1 << 32)
chance = random.Random(SEED)


class Pooled(extensions.connection):
    """A connection on a session of a pool, as the Django backend has them."""

    def __init__(self, pool):
        self._attach(Session.lease(pool), DSN)


def a_pool(timeout=30.0):
    return native.PgPool(DSN, min_size=0, max_size=SIZE, timeout=timeout, max_lifetime=None, max_idle=None)


def watcher():
    """A cursor that looks from outside."""
    connection = postgres.connect(application_name="watcher")
    connection.autocommit = True
    return connection.cursor()


def sessions(cursor, where="true"):
    cursor.execute(f"SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND {where}", (ME,))
    return cursor.fetchone()[0]


def eventually(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        puff.sleep(0.02)
    return True


def crowd():
    """Five hundred greenlets take turns on ten sessions."""
    pool, look = a_pool(), watcher()
    waits, turns = [], [0] * 500
    end = time.monotonic() + SECONDS

    def one(number):
        while time.monotonic() < end:
            start = time.monotonic()
            connection = Pooled(pool)
            waits.append(time.monotonic() - start)
            with connection.cursor() as cursor:
                cursor.execute("SELECT %s, pg_sleep(%s)", (number, 0.002))
                assert cursor.fetchone()[0] == number
            if number % 3:
                connection.commit()
            connection.close()
            turns[number] += 1

    greenlets = [puff.spawn(one, number) for number in range(500)]
    most = samples = 0
    while not all(greenlet.ready() for greenlet in greenlets):
        most = max(most, sessions(look))
        samples += 1
        puff.sleep(0.05)
    puff.join_all(greenlets)
    waits.sort()
    mean, longest = sum(waits) / len(waits), waits[-1]
    print(f"{len(waits)} turns, mean {mean:.3f} s, longest {longest:.3f} s; {turns}", file=sys.stderr)
    print("at most", most, "of", SIZE, "and looked often:", samples > SECONDS)
    print("nobody starves:", min(turns) > 0, max(turns) - min(turns) <= 2 + max(turns) // 5)
    print("first come, first served:", longest < 5 + 5 * mean)
    # What was left open is rolled back a moment later.
    eventually(lambda: pool.status()[2] == 0)
    print("in use", pool.status()[2], "waiting", pool.status()[4])
    pool.close()
    print("left behind:", not eventually(lambda: sessions(look) == 0))


def in_a_query(connection):
    connection.cursor().execute("SELECT pg_sleep(%s)", (chance.random() * 0.1,))


def in_a_transaction(connection):
    cursor = connection.cursor()
    for number in range(5):
        cursor.execute("INSERT INTO storm VALUES (%s)", (number,))
    connection.commit()


def in_a_copy(connection):
    connection.cursor().copy_expert("COPY (SELECT generate_series(1, 20000)) TO STDOUT", Sink())


def in_a_copy_in(connection):
    connection.cursor().copy_expert("COPY storm FROM STDIN", Source())


def in_a_named_cursor(connection):
    named = connection.cursor("n")
    named.itersize = 5
    named.execute("SELECT generate_series(1, 1000)")
    for _ in named:
        pass


class Sink:
    def write(self, data):
        puff.sleep(0.001)


class Source:
    def read(self, size):
        puff.sleep(0.001)
        return "7\n" * 100


WORK = [in_a_query, in_a_transaction, in_a_copy, in_a_copy_in, in_a_named_cursor]


def storm():
    """Greenlets are killed, or run out of time, while they wait for a session or work on one."""
    look = watcher()
    look.execute("CREATE TABLE IF NOT EXISTS storm (a int)")
    pool = a_pool()

    def one(work, limit):
        connection = None
        try:
            with puff.timeout(limit):
                connection = Pooled(pool)
                work(connection)
        except TimeoutError:
            pass
        finally:
            if connection is not None:
                connection.close()

    most = killed = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        limits = [chance.choice((0.001, 0.02, 0.1, 5)) for _ in range(200)]
        greenlets = [puff.spawn(one, chance.choice(WORK), limit) for limit in limits]
        while not all(greenlet.ready() for greenlet in greenlets):
            puff.sleep(chance.random() * 0.01)
            for greenlet in chance.sample(greenlets, 10):
                killed += not greenlet.ready()
                greenlet.kill()
            most = max(most, sessions(look))
    print(f"seed {SEED}, killed {killed}, at most {most} sessions", file=sys.stderr)
    print("killed some:", killed > 100, "at most", SIZE, most <= SIZE)
    print("given back:", eventually(lambda: pool.status()[2] == 0))
    print("nothing runs:", eventually(lambda: sessions(look, "state <> 'idle'") == 0))
    start = time.monotonic()
    lent = [Pooled(pool) for _ in range(SIZE)]
    found = []
    for connection in lent:
        found.append((connection.closed, connection.get_transaction_status()))
        cursor = connection.cursor()
        cursor.execute("SELECT 42")
        found.append(cursor.fetchone())
        connection.close()
    print("clean:", set(found), "at once:", time.monotonic() - start < 20)
    pool.close()
    print("left behind:", not eventually(lambda: sessions(look) == 0))


def shared():
    """Greenlets and threads share one connection; some are killed; nobody gets another one's answer."""
    look = watcher()
    connection = postgres.connect(DSN)
    connection.autocommit = True
    end = time.monotonic() + SECONDS / 2
    right, wrong = [], []

    def one(number):
        with connection.cursor() as cursor:
            for turn in range(5):
                cursor.execute("SELECT %s, pg_sleep(0.001)", (number * 10 + turn,))
                (right if cursor.fetchone()[0] == number * 10 + turn else wrong).append(number)

    def in_a_thread(number):
        puff.spawn_blocking(one, number)

    while time.monotonic() < end:
        greenlets = [puff.spawn(in_a_thread if number % 4 == 0 else one, number) for number in range(20)]
        victims = chance.sample([each for number, each in enumerate(greenlets) if number % 4], 5)
        for victim in victims:
            puff.sleep(chance.random() * 0.005)
            victim.kill()
        for greenlet in greenlets:
            if greenlet not in victims:
                greenlet.join(30)
    print("answers:", len(right) > 100, wrong, connection.closed)
    one(1)
    connection.close()
    print("left behind:", not eventually(lambda: sessions(look) == 0))


def copies_that_fail():
    """A copy that fails takes nobody along who waits for the same connection."""
    connection = postgres.connect(DSN)
    connection.autocommit = True
    connection.cursor().execute("CREATE TEMP TABLE numbers (a int)")
    seen, begun = [], puff.Event()

    class Bad:
        def __init__(self, pause, text):
            self.pause, self.text, self.left = pause, text, 3

        def read(self, size):
            begun.set()
            self.pause(0.1)
            if self.text is None:
                raise ValueError("no more")
            self.left -= 1
            return self.text if self.left else ""

    def copy(pause, text):
        try:
            connection.cursor().copy_from(Bad(pause, text), "numbers")
        except postgres.Error as error:
            seen.append(type(error).__name__)

    def ask():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 5 FROM pg_sleep(0.05)")
            seen.append(cursor.fetchone()[0])

    def in_a_thread(function, *arguments):
        puff.spawn_blocking(function, *arguments)

    for text in ("x\n", None):
        for copier in ((puff.spawn, copy, puff.sleep), (puff.spawn, in_a_thread, copy, time.sleep)):
            start, *work = copier
            begun.clear()
            greenlets = [start(*work, text)]
            begun.wait()
            greenlets += [puff.spawn(ask), puff.spawn(in_a_thread, ask), puff.spawn(ask)]
            for greenlet in greenlets:
                greenlet.join(20)
            print(seen, connection.closed)
            seen.clear()
    connection.close()


def application(environ, start_response):
    connection = Pooled(_web_pool())
    try:
        cursor = connection.cursor()
        if environ["PATH_INFO"] == "/slow":
            cursor.execute("SELECT pg_sleep(0.5)")
            connection.commit()
            body = b"slow"
        else:
            cursor.execute("SELECT pg_backend_pid()")
            body = repr(_web_pool().status()[:3]).encode()
    finally:
        connection.close()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


_pools = []


def _web_pool():
    if not _pools:
        _pools.append(a_pool())
    return _pools[0]
