"""Django's ORM behind each server; psycopg2 everywhere, so that no driver decides."""

from __future__ import annotations

from .peer import Peer
from .servers import FLOOR, GEVENT, GRANIAN, GUNICORN, PUFF, PUFF_ENVIRONMENT, PUFF_PACKAGES, UWSGI

_APP = "bench_site.wsgi:application"
_TARGETS = {"django": "/questions"}
_PSYCOPG2 = {"DJANGO_DRIVER": "psycopg2"}
_PACKAGES = ("py:django", "py:psycopg2-binary")
_OURS = {**PUFF_ENVIRONMENT, "DJANGO_DRIVER": "puff"}

DJANGO = (
    Peer(
        "puff",
        "django",
        f"{PUFF} --wsgi {_APP}",
        _TARGETS,
        "django",
        "1 Tokio worker + the hub, greenlets, Puff's engine",
        _OURS,
        ("py:django", *PUFF_PACKAGES),
    ),
    Peer("axum", "django", FLOOR, _TARGETS, "django", "Rust, one SQL builds the JSON"),
    Peer(
        "granian",
        "django",
        f"{GRANIAN} --blocking-threads 4 {_APP}",
        _TARGETS,
        "django",
        "4 threads, psycopg2",
        _PSYCOPG2,
        _PACKAGES,
    ),
    Peer(
        "granian-psycopg3",
        "django",
        f"{GRANIAN} --blocking-threads 4 {_APP}",
        _TARGETS,
        "django",
        "4 threads, psycopg 3 (binary)",
        packages=("py:django", "py:psycopg"),
    ),
    Peer(
        "granian-psycopg3-pool",
        "django",
        f"{GRANIAN} --blocking-threads 4 {_APP}",
        _TARGETS,
        "django",
        "4 threads, psycopg 3 (binary) and its pool",
        {"DJANGO_POOL": "1"},
        packages=("py:psycopg-pool",),
    ),
    Peer(
        "gunicorn-sync",
        "django",
        f"{GUNICORN} --worker-class sync {_APP}",
        _TARGETS,
        "django",
        "1 thread, no keep-alive, psycopg2",
        _PSYCOPG2,
        _PACKAGES,
    ),
    Peer(
        "gunicorn-gthread",
        "django",
        f"{GUNICORN} --worker-class gthread --threads 4 {_APP}",
        _TARGETS,
        "django",
        "4 threads, psycopg2",
        _PSYCOPG2,
        _PACKAGES,
    ),
    Peer(
        "gunicorn-gevent",
        "django",
        f"{GEVENT} {_APP}",
        _TARGETS,
        "django",
        "greenlets, psycopg2 + psycogreen",
        _PSYCOPG2,
        _PACKAGES,
    ),
    Peer(
        "uwsgi",
        "django",
        f"{UWSGI} --wsgi-file bench_site/wsgi.py --threads 4",
        _TARGETS,
        "django",
        "4 threads, psycopg2",
        _PSYCOPG2,
        _PACKAGES,
    ),
)
