"""`python -m driver`, in the folder `benches`: Puff's PostgreSQL driver beside psycopg2 and psycopg 3."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from peers import places
from peers.database import Database
from peers.processes import Cores
from turns import Bar, Contest, Task, main

from .tasks import COPIED, INSERTS, ROWS

_PYTHON = str(places.BIN / "python")

_TASKS = (
    Task("small", "a query with 2 parameters and a row of 2 columns"),
    Task("fetch", f"{ROWS:,} rows of 6 columns fetched"),
    Task("insert", f"{INSERTS:,} rows of 4 columns inserted, the driver's way for many"),
    Task("copy_in", f"{COPIED:,} lines copied in"),
    Task("copy_out", f"{COPIED:,} lines copied out"),
)


def _contest(cores: Cores) -> Contest:
    @contextmanager
    def database() -> Iterator[Mapping[str, str]]:
        with Database(cores.load) as server:
            yield {"BENCH_DSN": server.url}

    return Contest(
        name="driver",
        sides={
            "greenlet": [[str(places.BIN / "puff"), "run", "driver.on_puff.main"]],
            "psycopg2": [[_PYTHON, "-m", "driver.on_psycopg2"]],
            "thread": [[_PYTHON, "-m", "driver.on_puff"]],
            "psycopg": [[_PYTHON, "-m", "driver.on_psycopg"]],
        },
        titles={
            "greenlet": "Puff, greenlet",
            "thread": "Puff, thread",
            "psycopg2": "psycopg2",
            "psycopg": "psycopg 3",
        },
        tasks=_TASKS,
        ratios=(
            ("greenlet x psycopg2", "greenlet", "psycopg2"),
            ("thread x psycopg2", "thread", "psycopg2"),
            ("greenlet x psycopg 3", "greenlet", "psycopg"),
        ),
        packages=("py:puff-py", "py:greenlet", "py:psycopg2-binary", "py:psycopg-binary"),
        prepare=database,
        bars=[Bar(task.name, side, "psycopg2", 1.0) for side in ("greenlet", "thread") for task in _TASKS],
        core=cores.server,
    )


if __name__ == "__main__":
    sys.exit(main(_contest(Cores.choose()), __doc__))
