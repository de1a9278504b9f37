"""What the project promises about itself beside its peers, and whether a run shows it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from .results import Measure, Measured, Results
from .workloads import WORKLOADS


@dataclass(frozen=True)
class Bar:
    """A figure that Puff's may be at most `most`; `find` is None where the run says nothing about it."""

    what: str
    most: float
    find: Callable[[Results], float | None]


def _beside(workload: str, peer: str, most: float, what: str, measure: Measure, ours: str = "puff") -> Bar:
    """A figure of Puff's under load at most `most` times the peer's; `ours` is one of Puff's entries."""

    def find(results: Results) -> float | None:
        puff, other = _measured(results, workload, ours), _measured(results, workload, peer)
        return puff.ratio(other, measure) if puff is not None and other is not None else None

    entry = "" if ours == "puff" else f", {ours}"
    return Bar(f"{workload}{entry}: {what} x {peer}", most, find)


def _cpu(workload: str, peer: str, most: float, ours: str = "puff") -> Bar:
    return _beside(workload, peer, most, "CPU per request", lambda round: round.cpu_us, ours)


def _cpu_with_database(workload: str, peer: str, most: float) -> Bar:
    what = "CPU per request, PostgreSQL's with it,"
    return _beside(workload, peer, most, what, lambda round: round.cpu_us + round.database_us)


def _memory(workload: str, peer: str, most: float) -> Bar:
    return _beside(workload, peer, most, "memory", lambda round: round.rss_mib)


def _p99(workload: str, most: float) -> Bar:
    def find(results: Results) -> float | None:
        puff = _measured(results, workload, "puff")
        return None if puff is None else puff.median(lambda round: round.p99_ms)

    return Bar(f"{workload}: p99, ms", most, find)


def _wait(workload: str, seconds: float, most: float) -> Bar:
    """How many times the best throughput, all connections waiting `seconds` and no more, is Puff's."""
    connections = next(each.connections for each in WORKLOADS if each.name == workload)

    def find(results: Results) -> float | None:
        puff = _measured(results, workload, "puff")
        if puff is None:
            return None
        return connections / seconds / puff.median(lambda round: round.requests_per_second)

    return Bar(f"{workload}: ideal throughput / ours", most, find)


def _cold(workload: str, peer: str, most: float) -> Bar:
    def find(results: Results) -> float | None:
        starts = results.cold.get(workload, {})
        puff, other = starts.get("puff"), starts.get(peer)
        if not puff or not other:
            return None
        return statistics.median(start.seconds for start in puff) / statistics.median(
            start.seconds for start in other
        )

    return Bar(f"{workload}: cold start x {peer}", most, find)


BARS = (
    _cpu("wsgi_hello", "granian", 0.8),
    _cpu("wsgi_hello", "axum", 1.5),
    _cpu("flask_hello", "granian", 1.0),
    _cpu("django", "granian", 0.95),
    _cpu("django", "granian-psycopg3", 0.95),
    _cpu("django", "granian-psycopg3-pool", 0.95),
    _cpu("django", "gunicorn-gevent", 0.95),
    _cpu("polls", "puff-orm", 1 / 10),
    _cpu("polls", "strawberry-django", 1 / 30),
    _cpu("polls", "puff-orm", 1 / 10, ours="puff-prepared"),
    _cpu("polls", "strawberry-django", 1 / 30, ours="puff-prepared"),
    _cpu("polls", "puff-orm", 1 / 10, ours="puff-typed"),
    _cpu("polls", "strawberry-django", 1 / 30, ours="puff-typed"),
    _cpu("polls", "axum-layers", 1.5, ours="puff-sql"),
    _cpu("sleep", "granian-256t", 0.5),
    _p99("sleep", 62),
    _wait("sleep_2000", 0.05, 1 / 0.97),
    _memory("sleep_2000", "granian-2000t", 0.25),
    _cpu("pgsleep", "granian-256t", 0.7),
    _cpu("pgsleep", "gunicorn-gevent", 0.5),
    _cold("wsgi_hello", "granian", 1.0),
    _cpu("gql_nested", "axum-layers", 1.25),
    _cpu_with_database("gql_nested", "axum-onesql", 1.0),
    _cpu("gql_nested", "async-graphql", 0.5),
    _cpu("gql_nested", "strawberry-granian", 1 / 30),
    _cpu("gql_flat", "axum-layers", 1.15),
    _cpu_with_database("gql_flat", "axum-onesql", 1.0),
    _cpu("gql_hello", "async-graphql", 1.1),
    _cpu("gql_hello", "async-graphql", 0.75, ours="puff-constant"),
)


def judge(results: Results) -> list[tuple[Bar, float]]:
    """The bars that the run can say something about, each with the figure it found."""
    found = [(bar, bar.find(results)) for bar in BARS]
    return [(bar, figure) for bar, figure in found if figure is not None]


def _measured(results: Results, workload: str, peer: str) -> Measured | None:
    measured = results.workloads.get(workload, {}).get(peer)
    return measured if measured is not None and measured.rounds else None
