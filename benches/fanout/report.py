"""What a run measured, as tables and bars."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.tables import ratio, table, verdicts

from .load import Round
from .servers import SIDES, Side
from .workloads import WORKLOADS, Workload

Rounds = list[Round]
Measure = Callable[[Round], float]


@dataclass(frozen=True)
class Bar:
    """What the project promises: `side` takes at most `most` times `peer`'s CPU for a frame of `workload`."""

    workload: str
    side: str
    peer: str
    most: float


# For WebSockets that are bound to channels, where Tokio writes without Python: the side `puff-bound`.
BARS = (
    *(Bar(workload, "puff-bound", "rust", 1.5) for workload in ("spread", "hot")),
    *(Bar(workload, "puff-bound", "channels", 0.1) for workload in ("spread", "hot")),
)


@dataclass
class Results:
    """One run.

    Attributes:
        workloads: the rounds by workload and side.
        failed: what went wrong, by `workload/side`.
    """

    machine: dict[str, Any]
    settings: dict[str, int]
    versions: dict[str, str]
    workloads: dict[str, dict[str, Rounds]]
    failed: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Results:
        """Reads a file of `as_json`."""
        raw = json.loads(path.read_text())
        workloads = {
            workload: {name: [Round(**each) for each in rounds] for name, rounds in sides.items()}
            for workload, sides in raw.pop("workloads").items()
        }
        return cls(**raw, workloads=workloads)

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        workloads = {
            workload: {name: [each.as_json() for each in rounds] for name, rounds in sides.items()}
            for workload, sides in self.workloads.items()
        }
        return {**vars(self), "workloads": workloads}

    def wrong(self) -> list[str]:
        """The rows that fail the benchmark, as `workload/side`: they broke, lost or repeated something."""
        found = set(self.failed)
        for side in SIDES:
            for workload in WORKLOADS:
                rounds = self.workloads.get(workload.name, {}).get(side.name, [])
                if any(_fails(side, workload, each) for each in rounds):
                    found.add(f"{workload.name}/{side.name}")
        return sorted(found)


def _fails(side: Side, workload: Workload, found: Round) -> bool:
    if found.wrong or found.closed:
        return True
    return not found.complete if found.kept_up(workload) else not side.may_lag


def report(results: Results) -> str:
    """The figures by workload, then the bars."""
    parts = []
    for workload in WORKLOADS:
        sides = results.workloads.get(workload.name, {})
        rows = [_row(side, workload, sides) for side in SIDES if sides.get(side.name)]
        if rows:
            parts += [f"{workload.name}: {workload.title}.", table(_HEAD, rows)]
    judged = [
        (f"{bar.workload}: CPU per frame, {bar.side} x {bar.peer}", bar.most, found)
        for bar in BARS
        if (found := _compared(results, bar)) is not None
    ]
    if judged:
        parts.append(verdicts(judged))
    wrong = results.wrong()
    parts.append(
        f"FAILED: {', '.join(wrong)}"
        if wrong
        else "Every server that kept up delivered each message once and in order."
    )
    return "\n\n".join(parts)


_HEAD = (
    "",
    "CPU us/frame",
    "x axum",
    "x Channels",
    "frames/s",
    "p50 ms",
    "p99 ms",
    "core used",
    "Valkey us/frame",
    "load's core",
    "RSS MiB",
    "",
)


def _row(side: Side, workload: Workload, sides: Mapping[str, Rounds]) -> list[str]:
    rounds = sides[side.name]

    def median(measure: Measure) -> float:
        return statistics.median(map(measure, rounds))

    return [
        side.title,
        f"{median(lambda each: each.cpu_us):.1f}",
        ratio(_ratio(rounds, sides.get("rust", []))),
        ratio(_ratio(rounds, sides.get("channels", []))),
        f"{median(lambda each: each.delivered / each.seconds):,.0f}",
        f"{median(lambda each: each.p50_ms):,.2f}",
        f"{median(lambda each: each.p99_ms):,.2f}",
        f"{median(lambda each: each.server_core_used):.0%}",
        f"{median(lambda each: each.valkey_us):.1f}",
        f"{median(lambda each: each.load_core_used):.0%}",
        f"{median(lambda each: each.rss_mib):.0f}",
        _said(workload, rounds),
    ]


def _said(workload: Workload, rounds: Rounds) -> str:
    """Whether all arrived; if not, the frames that were not there 10 s after the last message."""
    if any(each.wrong or each.closed for each in rounds):
        return "LOST"
    if not all(each.kept_up(workload) for each in rounds):
        late = max(each.outstanding for each in rounds)
        return f"too slow, {late:,} not there" if late else "too slow"
    return "all" if all(each.complete for each in rounds) else "LOST"


def _compared(results: Results, bar: Bar) -> float | None:
    sides = results.workloads.get(bar.workload, {})
    return _ratio(sides.get(bar.side, []), sides.get(bar.peer, []))


def _ratio(ours: Rounds, theirs: Rounds) -> float | None:
    """The median of the rounds' ratios: neighbours in time share the noise. None without both."""
    ratios = [our.cpu_us / their.cpu_us for our, their in zip(ours, theirs, strict=False) if their.cpu_us]
    return statistics.median(ratios) if ratios else None
