"""A bare WSGI callable, and the same from Flask."""

from __future__ import annotations

from .peer import Peer
from .servers import (
    AXUM_PACKAGES,
    FLOOR,
    GEVENT,
    GEVENT_PACKAGES,
    GRANIAN,
    GRANIAN_H2,
    GRANIAN_PACKAGES,
    GRANIAN_TLS,
    GRANIAN_WORKERS,
    GUNICORN,
    PUFF,
    PUFF_ENVIRONMENT,
    PUFF_PACKAGES,
    PUFF_TLS,
    PUFF_WORKERS,
    UWSGI,
    WAITRESS,
)


def _common(group: str, workload: str, module: str, *packages: str) -> list[Peer]:
    """The servers that both groups have, for the application `module:app`."""
    targets = {workload: "/"}
    return [
        Peer(
            "puff",
            group,
            f"{PUFF} --wsgi {module}:app",
            targets,
            "wsgi",
            "1 Tokio worker + the hub, greenlets",
            PUFF_ENVIRONMENT,
            (*PUFF_PACKAGES, *packages),
        ),
        Peer(
            "axum",
            group,
            FLOOR,
            {workload: "/hello"},
            "wsgi",
            "Rust, no Python; 1 Tokio worker",
            packages=AXUM_PACKAGES,
        ),
        Peer(
            "granian",
            group,
            f"{GRANIAN} --blocking-threads 1 {module}:app",
            targets,
            "wsgi",
            "1 runtime + 1 Python thread",
            packages=GRANIAN_PACKAGES,
        ),
        Peer(
            "gunicorn-gevent",
            group,
            f"{GEVENT} {module}:app",
            targets,
            "wsgi",
            "1 thread, greenlets",
            packages=GEVENT_PACKAGES,
        ),
        Peer(
            "gunicorn-sync",
            group,
            f"{GUNICORN} --worker-class sync {module}:app",
            targets,
            "wsgi",
            "1 thread, no keep-alive",
        ),
        Peer(
            "gunicorn-gthread",
            group,
            f"{GUNICORN} --worker-class gthread --threads 4 {module}:app",
            targets,
            "wsgi",
            "4 threads",
        ),
        Peer(
            "uwsgi",
            group,
            f"{UWSGI} --wsgi-file {module}.py --callable app",
            targets,
            "wsgi",
            "HTTP router + 1 worker thread",
            packages=("py:uwsgi",),
        ),
    ]


def _two(group: str, workload: str, puff: str, granian: str) -> list[Peer]:
    """Puff and granian with the hello, in another way of serving it."""
    targets = {workload: "/"}
    return [
        Peer(
            "puff",
            group,
            f"{puff} --wsgi hello:app",
            targets,
            "wsgi",
            "1 Tokio worker + the hub, greenlets",
            PUFF_ENVIRONMENT,
            PUFF_PACKAGES,
        ),
        Peer(
            "granian",
            group,
            f"{granian} --blocking-threads 1 hello:app",
            targets,
            "wsgi",
            "1 runtime + 1 Python thread",
            packages=GRANIAN_PACKAGES,
        ),
    ]


WSGI = (
    *_common("wsgi", "wsgi_hello", "hello"),
    Peer(
        "waitress",
        "wsgi",
        f"{WAITRESS} --threads=4 hello:app",
        {"wsgi_hello": "/"},
        "wsgi",
        "1 I/O + 4 threads",
        packages=("py:waitress",),
    ),
    *_two("tls", "hello_tls", PUFF_TLS, GRANIAN_TLS),
    *_two("h2", "hello_h2", PUFF, GRANIAN_H2),
    *_two("workers", "hello_workers", PUFF_WORKERS, GRANIAN_WORKERS),
    *_common("flask", "flask_hello", "flask_hello", "py:flask", "py:werkzeug"),
)
