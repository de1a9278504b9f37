"""Binds the public DB-API 2.0 suite (`dbapi-compliance` on PyPI) to what `psycopg2` is here."""

from __future__ import annotations

import datetime
import importlib
import os
import unittest

import dbapi20

if os.environ["COMPAT_DRIVER"] == "puff":
    psycopg2 = importlib.import_module("puff.postgres")
else:
    psycopg2 = importlib.import_module("psycopg2")


class DBAPI20(dbapi20.DatabaseAPI20Test):
    driver = psycopg2
    connect_kw_args = {  # noqa: RUF012  (the suite's base class reads it so)
        "dbname": "postgres",
        "host": os.environ["PGHOST"],
        "port": os.environ["PGPORT"],
        "user": os.environ["PGUSER"],
        "password": os.environ["PGPASSWORD"],
    }
    lower_func = "lower"

    def test_nextset(self) -> None:
        raise unittest.SkipTest("PostgreSQL drivers need not have nextset()")

    def test_setoutputsize(self) -> None:
        raise unittest.SkipTest("optional, no effect in PostgreSQL drivers")

    def test_date_round_trip(self) -> None:
        con = self._connect()
        try:
            cur = con.cursor()
            for value, expected in (
                (psycopg2.Date(2002, 12, 25), datetime.date(2002, 12, 25)),
                (psycopg2.Time(13, 45, 30), datetime.time(13, 45, 30)),
                (psycopg2.Timestamp(2002, 12, 25, 13, 45, 30), datetime.datetime(2002, 12, 25, 13, 45, 30)),
            ):
                cur.execute("select %s", (value,))
                assert cur.fetchone()[0] == expected
        finally:
            con.close()


del dbapi20  # else its abstract base class would be collected as well
