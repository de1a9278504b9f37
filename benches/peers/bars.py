"""What the project promises about itself beside its peers, and whether a run shows it."""

from __future__ import annotations

from dataclasses import dataclass

from .results import Results, Round


@dataclass(frozen=True)
class Bar:
    """Puff's server CPU per request on `workload` is at most `most` times `peer`'s."""

    workload: str
    peer: str
    most: float


BARS = (
    Bar("wsgi_hello", "granian", 1.2),
    Bar("pgsleep", "gunicorn-gevent", 0.5),
    Bar("gql_nested", "async-graphql", 0.5),
    Bar("gql_nested", "strawberry-granian", 1 / 30),
)


def judge(results: Results) -> list[tuple[Bar, float]]:
    """The bars that the run can say something about, each with the ratio it found."""
    judged = []
    for bar in BARS:
        measured = results.workloads.get(bar.workload, {})
        puff, peer = measured.get("puff"), measured.get(bar.peer)
        ratio = puff.ratio(peer, _cpu) if puff is not None and peer is not None else None
        if ratio is not None:
            judged.append((bar, ratio))
    return judged


def _cpu(measured: Round) -> float:
    return measured.cpu_us
