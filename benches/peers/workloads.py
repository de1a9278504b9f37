"""What is asked of the peers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from . import dataset

NONCE = "__N__"
"""In a body: the load generator writes a new number in its place in each request."""

Body = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """One request, asked over and over on a number of connections.

    Attributes:
        group: peers of a group are up at the same time and measured in turns.
        expect: the one true answer.
        body: the GraphQL request; None is a GET.
        reference: the peer that the report's ratios are taken against.
        floor: the peer that shows what is possible.
        fresh: each round starts the server anew, because it holds many connections.
        tls: over TLS, with a certificate that the run makes.
        http2: over HTTP/2.
    """

    name: str
    group: str
    title: str
    expect: bytes
    connections: int
    reference: str
    floor: str
    body: Body | None = None
    fresh: bool = False
    tls: bool = False
    http2: bool = False


def graphql(query: str, **variables: object) -> Body:
    """A request whose variables differ every time.

    A cache of whole answers cannot serve it; caches of parsed or planned queries may, as in real use.
    """
    return {"query": query, "variables": {**variables, "n": NONCE}}


def encode(body: Body, number: int | None = None) -> str:
    """The body as sent; with `number` in place of the nonce if one is given."""
    text = json.dumps(body, separators=(",", ":"))
    return text if number is None else text.replace(f'"{NONCE}"', str(number))


_NESTED = graphql(
    "query Q($limit: Int!) { authors(limit: $limit) { id name posts { id title comments { id body } } } }",
    limit=20,
)
_FLAT = graphql(
    "query Q($limit: Int!) { posts(limit: $limit) { id authorId title body views published } }",
    limit=1000,
)
_POLLS = graphql(
    "query Q($limit: Int!) { questions(limit: $limit) { id questionText choices { id choiceText votes } } }",
    limit=20,
)

WORKLOADS = (
    Workload(
        "wsgi_hello",
        "wsgi",
        "WSGI hello, 13 bytes",
        dataset.HELLO,
        connections=64,
        reference="granian",
        floor="axum",
    ),
    Workload(
        "hello_tls",
        "tls",
        "WSGI hello over TLS 1.3",
        dataset.HELLO,
        connections=64,
        reference="granian",
        floor="granian",
        tls=True,
    ),
    Workload(
        "hello_h2",
        "h2",
        "WSGI hello over HTTP/2, without TLS",
        dataset.HELLO,
        connections=64,
        reference="granian",
        floor="granian",
        http2=True,
    ),
    Workload(
        "hello_workers",
        "workers",
        "WSGI hello, two workers on the one core",
        dataset.HELLO,
        connections=64,
        reference="granian",
        floor="granian",
    ),
    Workload(
        "flask_hello",
        "flask",
        "Flask hello",
        dataset.HELLO,
        connections=64,
        reference="granian",
        floor="axum",
    ),
    Workload(
        "django",
        "django",
        "Django ORM, 20 questions with prefetched choices",
        dataset.questions_answer(),
        connections=16,
        reference="granian",
        floor="axum",
    ),
    Workload(
        "polls",
        "polls",
        "20 questions with choices: GraphQL, and Django's ORM giving the same",
        dataset.polls_answer(),
        connections=16,
        reference="puff-orm",
        floor="axum-layers",
        body=_POLLS,
    ),
    Workload(
        "sleep",
        "wait",
        "WSGI, a sleep of 50 ms",
        dataset.HELLO,
        connections=256,
        reference="granian-256t",
        floor="axum",
        fresh=True,
    ),
    Workload(
        "sleep_2000",
        "wait",
        "WSGI, a sleep of 50 ms, 2,000 at a time",
        dataset.HELLO,
        connections=2000,
        reference="granian-2000t",
        floor="axum",
        fresh=True,
    ),
    Workload(
        "pgsleep",
        "wait",
        "WSGI, SELECT pg_sleep(0.05)",
        dataset.HELLO,
        connections=256,
        reference="gunicorn-gevent",
        floor="axum",
        fresh=True,
    ),
    Workload(
        "gql_nested",
        "gql",
        "GraphQL nested, 20 x 10 x 5",
        dataset.nested_answer(),
        connections=8,
        reference="async-graphql",
        floor="axum-layers",
        body=_NESTED,
    ),
    Workload(
        "gql_flat",
        "gql",
        "GraphQL flat, 1,000 rows x 6 columns",
        dataset.flat_answer(),
        connections=8,
        reference="async-graphql",
        floor="axum-layers",
        body=_FLAT,
    ),
    Workload(
        "gql_hello",
        "gql",
        "GraphQL { hello }",
        dataset.hello_answer(),
        connections=32,
        reference="async-graphql",
        floor="axum-onesql",
        body=graphql("{ hello }"),
    ),
)
