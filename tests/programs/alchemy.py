"""SQLAlchemy on `postgresql+psycopg2`: with this driver in psycopg2's place, or, if asked, with psycopg2.

With `puff` in the variable `DRIVER` it is on `postgresql+puff`, the dialect of `puff.contrib.sqlalchemy`.

What it prints is the same with both.
"""

import datetime
import decimal
import enum
import functools
import os
import sys
import threading
import uuid

REAL = len(sys.argv) > 1 and sys.argv[1] == "psycopg2"
DRIVER = os.environ.get("DRIVER", "psycopg2")
if not REAL and DRIVER == "psycopg2":
    from puff.compat import psycopg2 as compat

    compat.install()

import sqlalchemy as sa  # noqa: E402
from sqlalchemy import exc, orm  # noqa: E402
from sqlalchemy.dialects import postgresql as pg  # noqa: E402
from sqlalchemy.pool import NullPool, QueuePool  # noqa: E402

URL = sa.URL.create(f"postgresql+{DRIVER}", query={"host": os.environ["SOCKETS"]}, username="tester")
ME = f"alchemy-{os.getpid()}"


def engine(**more):
    if DRIVER == "psycopg2":
        more.setdefault("poolclass", QueuePool)
    arguments = {"application_name": ME, **more.pop("connect_args", {})}
    return sa.create_engine(URL, connect_args=arguments, **more)


def together(function, count):
    """Calls `function(number)` in that many greenlets, or threads for the real psycopg2."""
    if REAL or __name__ == "__main__":
        results = [None] * count

        def run(number):
            results[number] = function(number)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results
    import puff

    return puff.join_all([puff.spawn(function, number) for number in range(count)])


class Base(orm.DeclarativeBase):
    pass


class Mood(enum.Enum):
    fine = 1
    gloomy = 2


class Author(Base):
    __tablename__ = "author"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)
    things: orm.Mapped[list["Thing"]] = orm.relationship(
        back_populates="author", cascade="all, delete-orphan"
    )


class Thing(Base):
    __tablename__ = "thing"
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("author.id"))
    author: orm.Mapped[Author] = orm.relationship(back_populates="things")
    data: orm.Mapped[dict] = orm.mapped_column(pg.JSONB)
    plain: orm.Mapped[list] = orm.mapped_column(pg.JSON)
    words: orm.Mapped[list[str]] = orm.mapped_column(pg.ARRAY(sa.Text))
    grid: orm.Mapped[list] = orm.mapped_column(pg.ARRAY(sa.Integer, dimensions=2))
    ids: orm.Mapped[list] = orm.mapped_column(pg.ARRAY(pg.UUID(as_uuid=True)))
    mood: orm.Mapped[Mood]
    price: orm.Mapped[decimal.Decimal] = orm.mapped_column(sa.Numeric(12, 4))
    ratio: orm.Mapped[float]
    made: orm.Mapped[datetime.datetime] = orm.mapped_column(sa.DateTime(timezone=True))
    day: orm.Mapped[datetime.date]
    at: orm.Mapped[datetime.time]
    lasts: orm.Mapped[datetime.timedelta] = orm.mapped_column(pg.INTERVAL)
    raw: orm.Mapped[bytes]
    ok: orm.Mapped[bool | None]
    span: orm.Mapped[object] = orm.mapped_column(pg.INT4RANGE)
    season: orm.Mapped[object] = orm.mapped_column(pg.DATERANGE)
    window: orm.Mapped[object] = orm.mapped_column(pg.TSTZRANGE)
    facts: orm.Mapped[dict] = orm.mapped_column(pg.HSTORE)
    host: orm.Mapped[str] = orm.mapped_column(pg.INET)


UTC = datetime.timezone.utc


def thing(number):
    return Thing(
        id=uuid.UUID(int=number),
        data={"n": number, "deep": [1, None, {"q": "it's \\ %s"}]},
        plain=[number, "x"],
        words=["a", 'b"c', "d,e", "\\", "NULL", "%"],
        grid=[[1, 2], [3, 4]],
        ids=[uuid.UUID(int=1), uuid.UUID(int=2)],
        mood=Mood.gloomy,
        price=decimal.Decimal("12345.6789"),
        ratio=0.1,
        made=datetime.datetime(2026, 2, 3, 4, 5, 6, 789, UTC),
        day=datetime.date(2024, 2, 29),
        at=datetime.time(23, 59, 58, 7),
        lasts=datetime.timedelta(days=3, seconds=4, microseconds=5),
        raw=bytes(range(256)),
        ok=None if number % 2 else True,
        span=pg.Range(1, 5),
        season=pg.Range(datetime.date(2026, 1, 1), None),
        window=pg.Range(datetime.datetime(2026, 1, 1, tzinfo=UTC), None, bounds="()"),
        facts={"a": "1", "b": None, 'q"': "=>"},
        host="10.0.0.1",
    )


def shown(one):
    names = [column.key for column in Thing.__table__.columns]
    return {name: repr(getattr(one, name)) for name in names}


def round_trip():
    with engine(poolclass=NullPool).begin() as connection:
        connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS hstore"))
    base = engine()  # looks for hstore when it connects for the first time
    Base.metadata.drop_all(base)
    sa.Table("bulk", sa.MetaData()).drop(base, checkfirst=True)
    Base.metadata.create_all(base)
    with orm.Session(base) as session:
        author = Author(name="Ada")
        author.things = [thing(number) for number in range(5)]
        session.add(author)
        session.commit()
        session.expire_all()
        for one in session.scalars(sa.select(Thing).order_by(Thing.id)):
            print(shown(one))
        print(session.scalar(sa.select(sa.func.count()).where(Thing.words.contains(["d,e"]))))
        print(
            session.scalar(
                sa.select(Thing.data["deep"][2]["q"].astext).where(Thing.data["n"].as_integer() == 3)
            )
        )
        print(session.scalars(sa.select(Thing.facts["a"]).where(Thing.facts.has_key("b")).limit(1)).all())
        print(session.scalar(sa.select(sa.func.count(Thing.id)).where(Thing.span.contains(3))))
        print(session.scalar(sa.select(Thing.id).where(Thing.id.in_([uuid.UUID(int=2), uuid.UUID(int=99)]))))
        found = session.get(Thing, uuid.UUID(int=2))
        found.data = {"changed": True}
        found.mood = Mood.fine
        session.delete(session.get(Thing, uuid.UUID(int=4)))
        session.commit()
        print(session.execute(sa.select(Thing.data, Thing.mood).where(Thing.id == found.id)).one())
        print(session.execute(sa.update(Thing).values(ratio=2.5)).rowcount)
        statement = pg.insert(Author).values(name="Ada")
        statement = statement.on_conflict_do_update(index_elements=["name"], set_={"name": "Ada L."})
        print(session.scalar(statement.returning(Author.name)))
        session.rollback()
        session.add(Author(name="Ada"))
        try:
            session.flush()
        except exc.IntegrityError as error:
            print(
                type(error).__name__,
                type(error.orig).__name__,
                error.orig.pgcode,
                error.orig.diag.constraint_name,
            )
        session.rollback()
        with session.begin_nested():
            session.add(Author(name="Bob"))
        try:
            with session.begin_nested():
                session.add(Author(name="Bob"))
        except exc.IntegrityError:
            print("savepoint")
        session.commit()
        print(session.scalars(sa.select(Author.name).order_by(Author.id)).all())
    inspector = sa.inspect(base)
    print(sorted(inspector.get_table_names()))
    for column in inspector.get_columns("thing"):
        print(column["name"], column["type"].__class__.__name__, column["nullable"])
    print(inspector.get_foreign_keys("thing")[0]["referred_table"], inspector.get_enums())
    base.dispose()


def batches():
    for mode in ("values_only", "values_plus_batch"):
        base = engine(executemany_mode=mode, executemany_batch_page_size=7, insertmanyvalues_page_size=50)
        table = sa.Table(
            "bulk", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("t", sa.Text)
        )
        table.drop(base, checkfirst=True)
        table.create(base)
        with base.begin() as connection:
            rows = [{"t": f"row % {number}"} for number in range(333)]
            given = connection.execute(
                table.insert().returning(table.c.id, sort_by_parameter_order=True), rows
            )
            ids = given.scalars().all()
            print(mode, len(ids), ids == sorted(ids))
            changed = table.update().where(table.c.id == sa.bindparam("i")).values(t=sa.bindparam("v"))
            connection.execute(changed, [{"i": i, "v": str(i)} for i in ids])
            print(
                connection.scalar(sa.select(sa.func.count()).where(table.c.t == sa.cast(table.c.id, sa.Text)))
            )
            print(
                connection.execute(
                    table.delete().where(table.c.id == sa.bindparam("i")), [{"i": i} for i in ids]
                ).rowcount
            )
            print(connection.scalar(sa.select(sa.func.count()).select_from(table)))
        base.dispose()


def streams():
    base = engine()
    with base.connect() as connection:
        numbers = sa.select(sa.func.generate_series(1, 5000).label("n"))
        given = connection.execution_options(yield_per=100).execute(numbers)
        print(given.cursor.name is not None, sum(row.n for row in given))
        given = connection.execution_options(stream_results=True, max_row_buffer=10).execute(numbers)
        print(given.fetchmany(3), given.first())
        names = sa.text("SELECT count(*) FROM pg_cursors")
        print(connection.execution_options(stream_results=False, yield_per=None).scalar(names))
        given = connection.execution_options(stream_results=True).execute(numbers)
        print(sum(len(part) for part in given.partitions(512)))
    base.dispose()


def isolation():
    base = engine()
    for level in ("READ COMMITTED", "READ UNCOMMITTED", "REPEATABLE READ", "SERIALIZABLE", "AUTOCOMMIT"):
        with base.connect().execution_options(isolation_level=level) as connection:
            shown = connection.scalar(sa.text("SHOW transaction_isolation"))
            status = connection.connection.dbapi_connection.get_transaction_status()
            print(level, shown, status, connection.get_isolation_level(), connection.default_isolation_level)
    with base.connect() as connection:
        options = connection.execution_options(postgresql_readonly=True, postgresql_deferrable=True)
        with options.begin():
            print(connection.scalar(sa.text("SHOW transaction_read_only")))
            try:
                connection.execute(sa.text("CREATE TABLE no (a int)"))
            except exc.InternalError as error:
                print(type(error.orig).__name__, error.orig.pgcode)
    with base.connect() as connection:
        print(connection.scalar(sa.text("SHOW transaction_read_only")))
    base.dispose()


def crowds():
    for pool in ({"pool_size": 20}, {"poolclass": NullPool}):
        base = engine(**pool)
        # Greenlets must not meet at the lock of the standard library that SQLAlchemy holds while the first
        # connection of an engine asks the server what it is.
        base.connect().close()
        right = together(functools.partial(visit, base), 20)
        print(right == [number * 2 for number in range(20)])
        base.dispose()
    with engine(poolclass=NullPool).connect() as connection:
        print(connection.scalar(sa.text("SELECT count(*) FROM visit")))


def visit(base, number):
    total = 0
    for turn in range(5):
        with orm.Session(base) as session:
            session.execute(sa.text("CREATE TEMP TABLE IF NOT EXISTS mine (a int)"))
            session.execute(sa.text("INSERT INTO visit VALUES (:n)"), {"n": number})
            total = session.scalar(sa.text("SELECT :n * 2 FROM pg_sleep(0.005)"), {"n": number})
            session.commit() if turn % 2 else session.rollback()
    return total


def prepare_crowds():
    with engine(poolclass=NullPool).begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS visit"))
        connection.execute(sa.text("CREATE TABLE visit (n int)"))


def losses():
    """What SQLAlchemy takes for a lost connection, it replaces."""
    killer = engine(poolclass=NullPool, connect_args={"application_name": "killer"})

    def end(pid):
        with killer.connect() as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:p, 5000)"), {"p": pid})

    base = engine(pool_size=1, max_overflow=0)
    with base.connect() as connection:
        before = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        end(before)
        try:
            connection.execute(sa.text("SELECT 1"))
        except exc.OperationalError as error:
            print("lost", error.connection_invalidated, connection.invalidated)
        connection.rollback()
        print("another", connection.scalar(sa.text("SELECT pg_backend_pid()")) != before)
    with base.connect() as connection:
        before = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    end(before)
    try:
        with base.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except exc.DBAPIError as error:
        print("idle", type(error).__name__, error.connection_invalidated)
    with base.connect() as connection:
        connection.connection.dbapi_connection.close()
        try:
            connection.execute(sa.text("SELECT 1"))
        except exc.DBAPIError as error:
            print("closed", type(error).__name__, error.connection_invalidated)
    base.dispose()

    base = engine(pool_size=1, max_overflow=0, pool_pre_ping=True)
    with base.connect() as connection:
        before = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    end(before)
    with base.connect() as connection:
        print("pre-ping", connection.scalar(sa.text("SELECT pg_backend_pid()")) != before)
    with base.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    base.dispose()


def two_phases():
    base = engine()
    connection = base.connect()
    transaction = connection.begin_twophase()
    connection.execute(sa.text("CREATE TEMP TABLE gone (a int)"))
    transaction.rollback()
    print(connection.recover_twophase())
    connection.close()
    base.dispose()


def left():
    with engine(poolclass=NullPool, connect_args={"application_name": "last"}).connect() as connection:
        for _ in range(100):
            count = connection.scalar(
                sa.text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :a"), {"a": ME}
            )
            if not count:
                break
            connection.execute(sa.text("SELECT pg_sleep(0.05)"))
            connection.rollback()
        print("left behind", count)


def main():
    import psycopg2

    print("with", psycopg2.__name__, file=sys.stderr)
    prepare_crowds()
    for part in (round_trip, batches, streams, isolation, crowds, losses, two_phases, left):
        print(part.__name__)
        part()


if __name__ == "__main__":
    main()
