"""The tasks on psycopg2."""

from __future__ import annotations

import json
import os

import psycopg2
from psycopg2.extras import execute_values

from .tasks import Psycopg2Like, measure

if __name__ == "__main__":
    connection = psycopg2.connect(os.environ["BENCH_DSN"])
    print(json.dumps(measure(Psycopg2Like(connection, execute_values))))
