"""A shortener of links: Bottle, Puff's PostgreSQL driver, and Redis for the counts."""

import inspect
import secrets

from bottle import Bottle, HTTPResponse, abort, request

import puff
from puff.postgres import errors
from puff.postgres.extras import DictCursor
from puff.postgres.pool import ThreadedConnectionPool

app = Bottle()
visits = puff.global_redis()  # usable in a module's body: nothing is opened before the first command


class Database:
    """Gives each view that has an argument `cursor` one, in a transaction of its own."""

    name = "database"
    api = 2

    def __init__(self, sessions):
        self.sessions = sessions
        self.turn = puff.Semaphore(sessions)  # psycopg2's pools do not wait; here a greenlet does
        self.opening = puff.Lock()
        self.pool = None

    def opened(self):
        with self.opening:  # two requests may come first, and opening waits
            if self.pool is None:
                dsn = puff.global_postgres().dsn()
                self.pool = ThreadedConnectionPool(
                    self.sessions, self.sessions, dsn, cursor_factory=DictCursor
                )
        return self.pool

    def apply(self, view, route):
        if "cursor" not in inspect.signature(view).parameters:
            return view

        def with_cursor(*args, **kwargs):
            with self.turn:
                pool = self.opened()
                connection = pool.getconn()
                try:
                    with connection.cursor() as cursor:
                        answer = view(*args, cursor=cursor, **kwargs)
                    connection.commit()
                    return answer
                finally:
                    pool.putconn(connection)  # which rolls back what is not committed

        return with_cursor


app.install(Database(sessions=10))


@app.post("/links")
def shorten(cursor):
    target = (request.json or {}).get("target")
    if not isinstance(target, str) or not target.startswith(("http://", "https://")):
        abort(400, "target is the address to lead to")
    while True:
        code = secrets.token_urlsafe(4)
        try:
            cursor.execute("SAVEPOINT attempt")
            cursor.execute("INSERT INTO link (code, target) VALUES (%s, %s)", (code, target))
        except errors.UniqueViolation:
            cursor.execute("ROLLBACK TO attempt")
        else:
            return {"code": code, "target": target}


@app.get("/<code>")
def follow(code, cursor):
    cursor.execute("SELECT target FROM link WHERE code = %s", (code,))
    row = cursor.fetchone() or abort(404, "no such link")
    visits.command("HINCRBY", "visits", code, 1)
    return HTTPResponse(status=302, Location=row["target"])


@app.get("/links/<code>")
def tell(code, cursor):
    cursor.execute("SELECT target, made FROM link WHERE code = %s", (code,))
    row = cursor.fetchone() or abort(404, "no such link")
    count = int(visits.command("HGET", "visits", code) or 0)
    return {"target": row["target"], "made": row["made"].isoformat(), "visits": count}


def create():
    """`puff run app.create`: the table."""
    puff.global_postgres().script("""
        CREATE TABLE IF NOT EXISTS link (
            code text PRIMARY KEY, target text NOT NULL, made timestamptz NOT NULL DEFAULT now()
        )
    """)
    print("ready: puff runserver")
