"""A bare WSGI callable, and the same from Flask."""

from __future__ import annotations

from .peer import Peer
from .servers import (
    AXUM_PACKAGES,
    FLOOR,
    GEVENT,
    GEVENT_PACKAGES,
    GRANIAN,
    GRANIAN_PACKAGES,
    GUNICORN,
    PUFF,
    PUFF_ENVIRONMENT,
    PUFF_PACKAGES,
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
    *_common("flask", "flask_hello", "flask_hello", "py:flask", "py:werkzeug"),
)
