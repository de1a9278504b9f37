"""Requests that wait: threads beside greenlets."""

from __future__ import annotations

from .peer import Peer
from .servers import (
    FLOOR,
    GEVENT,
    GRANIAN,
    GUNICORN,
    PUFF,
    PUFF_ENVIRONMENT,
    WAITRESS,
)

_TARGETS = {"sleep": "/sleep", "pgsleep": "/pgsleep"}
_ALL_TARGETS = {**_TARGETS, "sleep_2000": "/sleep"}

WAITING = (
    Peer(
        "puff",
        "wait",
        f"{PUFF} --wsgi waiting:app",
        _ALL_TARGETS,
        "puff",
        "greenlets; puff.postgres, its pool as psycopg2's, 256",
        PUFF_ENVIRONMENT,
    ),
    Peer(
        "puff-native",
        "wait",
        f"{PUFF} --wsgi waiting:app",
        {"pgsleep": "/pgsleep/native"},
        "puff",
        "greenlets; SQL handed to Rust, a pool of 256",
        {**PUFF_ENVIRONMENT, "PUFF_POSTGRES_POOL_SIZE": "256"},
    ),
    Peer(
        "axum",
        "wait",
        FLOOR,
        _ALL_TARGETS,
        "wsgi",
        "Rust, timers; pool of 256",
        {"BENCH_POOL": "256"},
    ),
    Peer(
        "granian-256t",
        "wait",
        f"{GRANIAN} --blocking-threads 256 --backpressure 1024 waiting:app",
        _TARGETS,
        "wsgi",
        "256 threads",
    ),
    Peer(
        "granian-2000t",
        "wait",
        f"{GRANIAN} --blocking-threads 2000 --backpressure 4096 --backlog 4096 waiting:app",
        {"sleep_2000": "/sleep"},
        "wsgi",
        "2,000 threads",
    ),
    Peer(
        "gunicorn-gevent",
        "wait",
        f"{GEVENT} --worker-connections 1000 waiting:app",
        _TARGETS,
        "wsgi",
        "greenlets, psycogreen",
    ),
    Peer(
        "gunicorn-gthread",
        "wait",
        f"{GUNICORN} --worker-class gthread --threads 256 waiting:app",
        _TARGETS,
        "wsgi",
        "256 threads",
    ),
    Peer(
        "waitress-256t",
        "wait",
        f"{WAITRESS} --threads=256 --connection-limit=1000 waiting:app",
        _TARGETS,
        "wsgi",
        "256 threads",
    ),
)
