"""Runs Django's own test suite, or the DB-API 2.0 suite, with Puff's driver, and compares with psycopg2.

It prints what the baseline passes and we do not; the exit status is 1 if there is any.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import environments
import outcomes
import server

BASELINE = Path(__file__).resolve().parent / "baseline"
CORE = [
    *("backends", "queries", "model_fields", "transactions", "transaction_hooks", "migrations", "schema"),
    *("postgres_tests", "aggregation", "expressions", "lookup", "ordering", "prefetch_related"),
    *("select_for_update", "bulk_create", "inspectdb", "introspection", "cache"),
]
CACHES = ["cache.tests.RedisCacheTests", "sessions_tests"]

_RUNTIME = {"PUFF_PSYCOPG2": "true", "PUFF_WATCHDOG": "0"}
"""No watchdog: its warnings are output that tests do not expect, and a suite has long computations."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/compat/run", description=__doc__)
    what = "core (default), full, dbapi20, caches, or labels of Django's suite"
    parser.add_argument("what", nargs="*", default=["core"], help=what)
    parser.add_argument("--driver", choices=["puff", "psycopg2"], default="puff")
    where = "inside the runtime (puff, default), or as plain Python"
    parser.add_argument("--host", choices=["puff", "python"], default="puff", help=where)
    engine = "Puff's database backend (default), or Django's own with our driver as psycopg2"
    parser.add_argument("--engine", choices=["puff", "stock"], default="puff", help=engine)
    django = f"another version than {environments.DJANGO}; runs the baseline as well"
    parser.add_argument("--django", metavar="VERSION", default=environments.DJANGO, help=django)
    fresh = "run the baseline as well, instead of comparing with the recorded one"
    parser.add_argument("--fresh-baseline", action="store_true", help=fresh)
    parser.add_argument("--test-seconds", type=int, default=180, help="bound on one test")
    parser.add_argument("--seconds", type=int, default=7200, help="bound on the whole run")
    options = parser.parse_args()

    run = Run(options, options.driver)
    if options.driver == "psycopg2":
        print(outcomes.counts(run.tests()))
        return 0
    candidate = run.tests()
    recorded_one = options.django == environments.DJANGO and not options.fresh_baseline
    baseline = recorded(options.what) if recorded_one else Run(options, "psycopg2").tests()
    differences = "caches" if options.what == ["caches"] else options.engine
    meant = outcomes.read_reasons(BASELINE / f"differences-{differences}.tsv")
    return 1 if outcomes.compare(baseline, candidate, meant) else 0


def recorded(what: list[str]) -> outcomes.Results:
    """What psycopg2 passed when the baseline was recorded; for caches Django's own Redis cache beside it."""
    if what in (["dbapi20"], ["full"], ["caches"]):
        return outcomes.load(
            BASELINE / ("dbapi20.tsv.gz" if what == ["dbapi20"] else f"django-{what[0]}.tsv.gz")
        )
    labels = CORE if what == ["core"] else what
    return outcomes.of_labels(outcomes.load(BASELINE / "django-full.tsv.gz"), labels)


class Run:
    """One driver under one suite, in as many processes as it takes."""

    def __init__(self, options: argparse.Namespace, driver: str) -> None:
        self.what: list[str] = options.what
        self.driver = driver
        self.host = options.host if driver == "puff" else "python"
        self.engine = options.engine if driver == "puff" else "stock"
        self.django: str = options.django
        self.test_seconds: int = options.test_seconds
        self.seconds: int = options.seconds
        suites = ("core", "full", "dbapi20", "caches")
        suite = self.what[0] if len(self.what) == 1 and self.what[0] in suites else "labels"
        other = [] if self.django == environments.DJANGO else [f"django{self.django}"]
        self.name = "-".join([suite, driver, *([self.host, self.engine] if driver == "puff" else []), *other])

    def tests(self) -> outcomes.Results:
        """Runs it; also written to `target/compat/results`."""
        folder = environments.WORK / "results"
        folder.mkdir(parents=True, exist_ok=True)
        record, log = folder / f"{self.name}.record", folder / f"{self.name}.log"
        record.write_text("")
        python = environments.environment(self.driver, self.django)
        started = time.monotonic()
        with contextlib.ExitStack() as held:
            clients = held.enter_context(server.server())
            if self.what == ["caches"]:
                clients |= held.enter_context(server.valkey())
            output = held.enter_context(log.open("wb"))
            environment = self._environment(python, clients, record)
            while not outcomes.has_ended(record):
                left = self.seconds - (time.monotonic() - started)
                before = record.stat().st_size
                status = self._process(python, environment, output, left)
                if outcomes.has_ended(record):
                    break
                print(f"The process ended early (status {status}), see {log}", file=sys.stderr)
                if record.stat().st_size == before or left <= 0:
                    break
                self._drop_leftovers(clients)
        tests = outcomes.read_record(record)
        outcomes.save(tests, folder / f"{self.name}.tsv.gz")
        seconds = time.monotonic() - started
        print(f"{self.name}: {outcomes.driver_line(record)}; {seconds:.0f} s; log: {log}", file=sys.stderr)
        return tests

    def _environment(self, python: Path, clients: dict[str, str], record: Path) -> dict[str, str]:
        drop = ("PUFF_", "DATABASE_URL", "REDIS_URL", "PYTHON", "PG", "DJANGO_", "COMPAT_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
        command = record.with_suffix(".python")
        runtime = "-m puff python " if self.host == "puff" else ""
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} {runtime}"$@"\n')
        command.chmod(0o755)
        return {
            **kept,
            **clients,
            **(_RUNTIME if self.host == "puff" else {}),
            "COMPAT_DRIVER": self.driver,
            "COMPAT_HOST": self.host,
            "COMPAT_ENGINE": self.engine,
            "COMPAT_RECORD": str(record),
            "COMPAT_PYTHON": str(command),
            "COMPAT_TEST_SECONDS": str(self.test_seconds),
        }

    def _process(
        self, python: Path, environment: dict[str, str], output: BinaryIO, seconds: float
    ) -> int | str:
        if self.what == ["dbapi20"]:
            folder, arguments = environments.SUITE, ["compat_unittest.py"]
        else:
            folder = environments.source("Django", self.django, python) / "tests"
            labels = {"core": CORE, "full": [], "caches": CACHES}.get(self.what[0], self.what)
            settings = ["--settings=compat_settings", "--noinput", "--parallel=1", "--verbosity=1"]
            arguments = ["runtests.py", *settings, *labels]
        # Low priority: a full run takes long, and nobody should wait for it.
        command = ["nice", "-n", "10", environment["COMPAT_PYTHON"], *arguments]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        try:
            return int(process.wait(max(seconds, 1)))
        except subprocess.TimeoutExpired:
            return "out of time"
        finally:
            process.kill()
            process.wait()

    def _drop_leftovers(self, clients: dict[str, str]) -> None:
        """A killed process's prepared transactions block DROP DATABASE, and their names count server-wide."""
        ask = "SELECT database || ' ' || quote_literal(gid) FROM pg_prepared_xacts"
        for line in self._psql(clients, "postgres", ask).splitlines():
            database, name = line.split(" ", 1)
            self._psql(clients, database, f"ROLLBACK PREPARED {name}")

    @staticmethod
    def _psql(clients: dict[str, str], database: str, sql: str) -> str:
        command = [server.binaries() / "psql", "-XAtq", "-d", database, "-c", sql]
        done = subprocess.run(
            command, env={**os.environ, **clients}, capture_output=True, text=True, check=False
        )
        return done.stdout


if __name__ == "__main__":
    sys.exit(main())
