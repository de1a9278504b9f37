"""What a run measured, and its file."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Round:
    """One round of load on one peer; CPU in microseconds per answered request, of the whole process tree."""

    requests: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    user_us: float
    system_us: float
    database_us: float
    failed: int
    bytes_per_request: float
    server_core_used: float
    others_on_server_core: float
    others_on_load_core: float
    steal: float
    rss_mib: float
    threads: int

    @property
    def cpu_us(self) -> float:
        """User and system CPU of the server per request."""
        return self.user_us + self.system_us


Measure = Callable[[Round], float]


@dataclass
class Measured:
    """All rounds of a peer on a workload."""

    note: str
    equal: str = ""
    rounds: list[Round] = field(default_factory=list)

    def median(self, measure: Measure) -> float:
        """The median over the rounds."""
        return statistics.median(map(measure, self.rounds))

    def spread(self, measure: Measure) -> tuple[float, float]:
        """The lowest and the highest round."""
        values = list(map(measure, self.rounds))
        return min(values), max(values)

    def ratio(self, other: Measured, measure: Measure) -> float | None:
        """How many times `other`'s figure ours is: per round, because neighbours in time share the noise.

        None without rounds to compare.
        """
        pairs = zip(self.rounds, other.rounds, strict=False)
        ratios = [measure(ours) / measure(theirs) for ours, theirs in pairs if measure(theirs)]
        return statistics.median(ratios) if ratios else None


@dataclass(frozen=True)
class ColdStart:
    """From exec to the first right answer."""

    seconds: float
    cpu_seconds: float
    rss_mib: float


@dataclass
class Results:
    """One run.

    Attributes:
        workloads: by workload and peer.
        cold: cold starts, by workload and peer.
        failed: what went wrong, by `workload/peer`.
    """

    machine: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, str]
    workloads: dict[str, dict[str, Measured]] = field(default_factory=dict)
    cold: dict[str, dict[str, list[ColdStart]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes the file in one step: whoever reads it sees the old one or the new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(self), indent=1, default=float) + "\n")
        os.replace(temporary, path)

    @classmethod
    def read(cls, path: Path) -> Results:
        """Reads a file that `save` wrote."""
        raw = json.loads(path.read_text())
        workloads = {
            workload: {name: _measured(peer) for name, peer in peers.items()}
            for workload, peers in raw.pop("workloads").items()
        }
        cold = {
            workload: {name: [ColdStart(**start) for start in starts] for name, starts in peers.items()}
            for workload, peers in raw.pop("cold").items()
        }
        return cls(**raw, workloads=workloads, cold=cold)


def _measured(raw: dict[str, Any]) -> Measured:
    return Measured(raw["note"], raw["equal"], [Round(**each) for each in raw["rounds"]])
