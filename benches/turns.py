"""Programs beside each other: run in turns, each prints its figures, and ratios are taken round by round."""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from peers import places
from peers.errors import BenchError
from peers.machine import machine, package_versions
from peers.processes import plain_environment
from peers.tables import ratio, table, verdicts

_SECONDS = 300
"""What one program may take."""

_MEASURES = {"cpu_us": "CPU us", "wall_us": "wall us", "median_us": "median us", "p99_us": "p99 us"}

Figures = dict[str, dict[str, float]]
"""By task and measure."""

Rounds = dict[str, list[Figures]]
"""By side, one entry for each round."""

Command = Sequence[str]


@dataclass(frozen=True)
class Task:
    """A row of the table for each measure; the programs print `{name: {measure: figure}}`."""

    name: str
    title: str
    measures: Sequence[str] = ("cpu_us", "wall_us")


@dataclass(frozen=True)
class Bar:
    """What the project promises: on `task`, the CPU of `side` is at most `most` times that of `peer`."""

    task: str
    side: str
    peer: str
    most: float


@dataclass(frozen=True)
class Contest:
    """Who runs, and what is told of it.

    Attributes:
        name: of the module, `python -m NAME`, and of its results file.
        sides: by side, its programs, whose figures are put together; they run in the folder `benches`.
        titles: by side, the head of its column.
        tasks: the rows, in order.
        ratios: columns of ratios: the head, whose figure is divided, by whose.
        packages: what the results file tells the versions of, as in `Peer.packages`.
        prepare: makes what the programs need while they run; gives the variables that tell them.
        bars: judged below the table.
        core: the one core that the programs run on; None leaves it to the system.
    """

    name: str
    sides: Mapping[str, Sequence[Command]]
    titles: Mapping[str, str]
    tasks: Sequence[Task]
    ratios: Sequence[tuple[str, str, str]]
    packages: Sequence[str]
    prepare: Callable[[], AbstractContextManager[Mapping[str, str]]]
    bars: Sequence[Bar] = ()
    core: int | None = None


def main(contest: Contest, description: str | None) -> int:
    """The command line of a contest: runs the rounds and prints the tables; returns the exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m {contest.name}", description=description)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--out", type=Path, default=places.WORK / f"{contest.name}.json", help="the results file"
    )
    parser.add_argument("--report", type=Path, help="only prints the tables of an earlier results file")
    arguments = parser.parse_args()
    if arguments.report is not None:
        print(report(contest, json.loads(arguments.report.read_text())["rounds"]))
        return 0
    # A plain kill must still stop what runs: an exception runs the finally clauses.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    try:
        with contest.prepare() as variables:
            rounds = _rounds(contest, arguments.rounds, variables)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    results = {"machine": machine(), "versions": package_versions(contest.packages), "rounds": rounds}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    print(report(contest, rounds))
    return 0


def report(contest: Contest, rounds: Rounds) -> str:
    """The figures with their ratios, then the bars."""
    head = ["per operation", *contest.titles.values(), *(title for title, _, _ in contest.ratios)]
    rows = []
    for task in contest.tasks:
        if any(task.name not in each for side in rounds.values() for each in side):
            continue  # figures of before this task was there
        for measure in task.measures:
            medians = (
                statistics.median(_series(rounds, side, task.name, measure)) for side in contest.titles
            )
            ratios = (_ratio(rounds, task.name, measure, ours, theirs) for _, ours, theirs in contest.ratios)
            rows.append(
                [
                    f"{task.title}: {_MEASURES[measure]}",
                    *(f"{median:.2f}" for median in medians),
                    *map(ratio, ratios),
                ]
            )
    judged = [
        (f"{bar.task}: {contest.titles[bar.side]} x {contest.titles[bar.peer]}", bar.most, found)
        for bar in contest.bars
        if (found := _ratio(rounds, bar.task, "cpu_us", bar.side, bar.peer)) is not None
    ]
    parts = [table(head, rows)]
    if judged:
        parts.append(verdicts(judged))
    return "\n\n".join(parts)


def _series(rounds: Rounds, side: str, task: str, measure: str) -> list[float]:
    return [each[task][measure] for each in rounds[side]]


def _ratio(rounds: Rounds, task: str, measure: str, ours: str, theirs: str) -> float | None:
    """The median of the rounds' ratios: neighbours in time share the noise."""
    pairs = zip(_series(rounds, ours, task, measure), _series(rounds, theirs, task, measure), strict=True)
    ratios = [a / b for a, b in pairs if b > 0]
    return statistics.median(ratios) if ratios else None


def _rounds(contest: Contest, count: int, variables: Mapping[str, str]) -> Rounds:
    names = list(contest.sides)
    rounds: Rounds = {name: [] for name in names}
    for number in range(count):
        # Who goes first rotates, so that no side always follows the same one.
        first = number % len(names)
        for name in names[first:] + names[:first]:
            print(f"round {number + 1}: {name}", file=sys.stderr)
            figures: Figures = {}
            for command in contest.sides[name]:
                figures |= _figures(contest, name, command, variables)
            rounds[name].append(figures)
    return rounds


def _figures(contest: Contest, name: str, command: Command, variables: Mapping[str, str]) -> Figures:
    core = contest.core
    try:
        done = subprocess.run(
            command,
            cwd=places.BENCHES,
            env={**plain_environment(), "VIRTUAL_ENV": str(places.VENV), **variables},
            stdout=subprocess.PIPE,
            text=True,
            timeout=_SECONDS,
            check=False,
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
        )
    except FileNotFoundError as error:
        raise BenchError("nothing is set up: run `benches/run.sh setup` first") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{name} took more than {_SECONDS} s") from error
    if done.returncode != 0:
        raise BenchError(f"{name} ended with status {done.returncode}")
    figures: Figures = json.loads(done.stdout)
    return figures
