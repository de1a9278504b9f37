"""One answer, several ways to it: GraphQL from querysets, Django's own view, Strawberry-Django, Rust."""

from __future__ import annotations

from .peer import Peer
from .servers import FLOOR, GRANIAN, PUFF, PUFF_ENVIRONMENT, PUFF_PACKAGES

_GRAPHQL = {"polls": "/graphql"}
_VIEW = {"polls": "/data"}
_APP = "bench_site.wsgi:application"
_OURS = {
    **PUFF_ENVIRONMENT,
    "DJANGO_DRIVER": "puff",
    "DJANGO_SETTINGS_MODULE": "bench_site.settings",
}
_PSYCOPG2 = {"DJANGO_DRIVER": "psycopg2"}

POLLS = (
    Peer(
        "puff",
        "polls",
        f"{PUFF} --graphql polls.querysets:Schema",
        _GRAPHQL,
        "django",
        "GraphQL; each request makes two querysets, whose SQL Rust runs",
        _OURS,
        ("py:django", *PUFF_PACKAGES),
    ),
    Peer(
        "puff-prepared",
        "polls",
        f"{PUFF} --graphql polls.prepared:Schema",
        _GRAPHQL,
        "django",
        "the same, querysets prepared once",
        _OURS,
    ),
    Peer(
        "puff-typed",
        "polls",
        f"{PUFF} --graphql polls.typed:Schema",
        _GRAPHQL,
        "django",
        "the same, types and relations of the models",
        _OURS,
    ),
    Peer(
        "puff-sql",
        "polls",
        f"{PUFF} --graphql polls.constant:Schema",
        _GRAPHQL,
        "django",
        "the same, SQL written by hand, constant for the choices",
        _OURS,
    ),
    Peer(
        "puff-orm",
        "polls",
        f"{PUFF} --wsgi {_APP}",
        _VIEW,
        "django",
        "Django's ORM in a view, Puff's server and engine",
        _OURS,
    ),
    Peer(
        "granian-orm",
        "polls",
        f"{GRANIAN} --blocking-threads 4 {_APP}",
        _VIEW,
        "django",
        "Django's ORM in a view, 4 threads, psycopg2",
        _PSYCOPG2,
        ("py:granian", "py:psycopg2-binary"),
    ),
    Peer(
        "strawberry-django",
        "polls",
        f"{GRANIAN} --blocking-threads 4 {_APP}",
        {"polls": "/polls"},
        "django",
        "granian WSGI, 4 threads, optimizer, psycopg2",
        {**_PSYCOPG2, "BENCH_STRAWBERRY": "1"},
        ("py:strawberry-graphql-django",),
    ),
    Peer(
        "axum-layers",
        "polls",
        FLOOR,
        {"polls": "/layers/polls"},
        "django",
        "Rust; one SQL per layer, JSON written by hand; no GraphQL engine",
    ),
    Peer(
        "axum-onesql",
        "polls",
        FLOOR,
        {"polls": "/onesql/polls"},
        "django",
        "Rust; one SQL builds the JSON in PostgreSQL; no GraphQL engine",
    ),
)
