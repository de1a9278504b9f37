"""`python -m hub`, in the folder `benches`: both sides in turns, and the ratios."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from peers import places
from peers.errors import BenchError
from peers.machine import machine, package_versions
from peers.processes import plain_environment
from peers.tables import ratio, table

from .tasks import GREENLETS, SPAWNED

_SECONDS = 300

_NATIVE = Path(__file__).parent / "native" / "Cargo.toml"
_NATIVE_TARGET = places.WORK / "hub"

_ENGINES = {
    "puff": [
        [str(places.BIN / "puff"), "run", "hub.on_puff.main"],
        [str(_NATIVE_TARGET / "release" / "puff-bench-hub"), "run"],
    ],
    "gevent": [[str(places.BIN / "python"), "-m", "hub.on_gevent"]],
}
"""The programs of each side, whose figures are put together."""

_TASKS = (
    ("spawn", f"spawn, run and join, {SPAWNED:,} times", ("cpu_us", "wall_us")),
    ("complete", f"an operation that completes at once, in {GREENLETS} greenlets", ("cpu_us", "wall_us")),
    ("ready", f"a Rust future that is ready at once, in {GREENLETS} greenlets", ("cpu_us", "wall_us")),
    ("later", f"a Rust future that another thread ends, in {GREENLETS} greenlets", ("cpu_us", "wall_us")),
    ("sleep_zero", f"sleep(0), in {GREENLETS} greenlets", ("cpu_us", "wall_us")),
    ("read", f"a small file read on another thread, in {GREENLETS} greenlets", ("cpu_us", "wall_us")),
    ("late_alone", "sleep(5 ms) ends late by, 1 greenlet", ("median_us", "p99_us", "cpu_us")),
    (
        "late_among_many",
        f"sleep(5 ms) ends late by, {GREENLETS} greenlets",
        ("median_us", "p99_us", "cpu_us"),
    ),
)
_MEASURES = {"cpu_us": "CPU us", "wall_us": "wall us", "median_us": "median us", "p99_us": "p99 us"}

Figures = dict[str, dict[str, float]]


def main() -> int:
    """Runs the rounds and prints the table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hub", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=places.WORK / "hub.json", help="the results file")
    parser.add_argument("--report", type=Path, help="only prints the table of an earlier results file")
    arguments = parser.parse_args()
    if arguments.report is not None:
        print(_report(json.loads(arguments.report.read_text())["rounds"]))
        return 0
    try:
        _build()
        rounds = _rounds(arguments.rounds)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    versions = package_versions(("py:puff-py", "py:gevent", "py:greenlet"))
    results = {"machine": machine(), "versions": versions, "rounds": rounds}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    print(_report(rounds))
    return 0


def _build() -> None:
    """Builds the program with the Rust futures, for the Python of the bench's venv."""
    print("Setting up the hub's Rust half (the first time some minutes)", file=sys.stderr)
    # The versions are the project's; cargo drops from the copy what is not needed.
    shutil.copy(places.ROOT / "Cargo.lock", _NATIVE.parent)
    command = ["cargo", "build", "--release", "--quiet", "--manifest-path", str(_NATIVE)]
    variables = {"CARGO_TARGET_DIR": str(_NATIVE_TARGET), "PYO3_PYTHON": str(places.BIN / "python")}
    try:
        subprocess.run(command, env={**os.environ, **variables}, stdout=sys.stderr, check=True)
    except FileNotFoundError as error:
        raise BenchError("cargo is missing: it builds the hub's Rust half") from error
    except subprocess.CalledProcessError as error:
        raise BenchError(f"building the hub's Rust half failed with status {error.returncode}") from error


def _rounds(count: int) -> dict[str, list[Figures]]:
    rounds: dict[str, list[Figures]] = {name: [] for name in _ENGINES}
    for number in range(count):
        for name in sorted(_ENGINES, reverse=bool(number % 2)):
            print(f"round {number + 1}: {name}", file=sys.stderr)
            rounds[name].append(_run(name))
    return rounds


def _run(name: str) -> Figures:
    figures: Figures = {}
    for command in _ENGINES[name]:
        figures |= _figures(name, command)
    return figures


def _figures(name: str, command: list[str]) -> Figures:
    try:
        done = subprocess.run(
            command,
            cwd=places.BENCHES,
            env={**plain_environment(), "VIRTUAL_ENV": str(places.VENV)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise BenchError("nothing is set up: run `benches/run.sh setup` first") from error
    if done.returncode != 0:
        raise BenchError(f"{name} ended with status {done.returncode}")
    figures: Figures = json.loads(done.stdout)
    return figures


def _report(rounds: dict[str, list[Figures]]) -> str:
    rows = []
    for task, title, measures in _TASKS:
        if any(task not in each for side in rounds.values() for each in side):
            continue  # figures of before this task was there
        for measure in measures:
            ours, theirs = ([each[task][measure] for each in rounds[name]] for name in ("puff", "gevent"))
            ratios = [a / b for a, b in zip(ours, theirs, strict=True) if b > 0]
            rows.append(
                [
                    f"{title}: {_MEASURES[measure]}",
                    f"{statistics.median(ours):.2f}",
                    f"{statistics.median(theirs):.2f}",
                    ratio(statistics.median(ratios) if ratios else None),
                ]
            )
    return table(["per operation", "Puff", "gevent", "Puff's is x"], rows)


if __name__ == "__main__":
    sys.exit(main())
