"""The tasks on Puff's driver: `puff run driver.on_puff.main` is in a greenlet, a script in a plain thread."""

from __future__ import annotations

import json
import os

import puff.postgres
from puff.postgres.extras import execute_values

from .tasks import Psycopg2Like, measure


def main() -> None:
    """Prints the figures as JSON."""
    connection = puff.postgres.connect(os.environ["BENCH_DSN"])
    print(json.dumps(measure(Psycopg2Like(connection, execute_values))))
    connection.close()


if __name__ == "__main__":
    main()
