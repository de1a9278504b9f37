"""The command line: `python -m peers --help`, in the folder `benches`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from . import places
from .cold import cold_starts
from .database import Database
from .errors import BenchError
from .generators import require
from .install import install
from .machine import machine, missing, versions
from .processes import Cores
from .registry import PEERS, Peer
from .report import report, summary
from .results import Results
from .rounds import FAILURES, Measurement, Plan, Servers
from .verify import verify
from .workloads import WORKLOADS, Workload

_SHORT_WORKLOADS = ("wsgi_hello", "sleep", "pgsleep", "gql_nested", "gql_hello")
_SHORT_PEERS = (
    "puff",
    "puff-native",
    "puff-constant",
    "granian",
    "granian-256t",
    "gunicorn-gevent",
    "axum",
    "strawberry-granian",
    "async-graphql",
    "axum-onesql",
    "axum-layers",
)
_RESULTS = places.WORK / "results.json"


def main() -> int:
    """Runs one command; returns the exit status."""
    arguments = _parser().parse_args()
    # A plain kill must still stop the servers: an exception runs the finally clauses.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    try:
        return int(arguments.run(arguments))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m peers", description="Puff beside its peers.")
    commands = parser.add_subparsers(required=True)

    bench = commands.add_parser(
        "bench", help="sets up, measures, prints ratios; BENCH=full measures everything"
    )
    bench.set_defaults(run=_bench)

    setup = commands.add_parser("setup", help="installs the peers below target/bench")
    setup.add_argument("--full", action="store_true", help="also uWSGI, Django and the Node peers")
    setup.set_defaults(run=_setup)

    for name, function, text in (
        ("run", _run, "measures, in interleaved rounds"),
        ("cold", _cold, "measures cold starts and adds them to the file"),
        ("verify", _verify, "only checks that every answer is right"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("-w", "--workloads", nargs="+", default=[], help="names or groups; default: all")
        command.add_argument(
            "-p", "--peers", nargs="+", default=[], help="names; default: all that are installed"
        )
        if name != "verify":
            command.add_argument("--rounds", type=int, default=Plan.rounds)
            command.add_argument("--out", type=Path, default=_RESULTS, help="the results file")
        if name == "run":
            command.add_argument("--seconds", type=int, default=Plan.seconds, help="of a round")
            command.add_argument("--warm", type=int, default=Plan.warm_seconds, help="seconds, not counted")
        command.set_defaults(run=function)

    show = commands.add_parser("report", help="a results file as Markdown")
    show.add_argument("file", type=Path)
    show.add_argument("--ref", help="take the ratios against this peer")
    show.set_defaults(run=_report)
    return parser


def _bench(_: argparse.Namespace) -> int:
    extent = os.environ.get("BENCH", "short")
    if extent not in ("short", "full"):
        raise BenchError(f"BENCH is short or full, not {extent!r}")
    full = extent == "full"
    install(full=full)
    workloads, peers = _select([] if full else _SHORT_WORKLOADS, [] if full else _SHORT_PEERS)
    print(summary(_measure(workloads, peers, Plan(), _RESULTS)))
    print(f"\nAll figures: {_RESULTS.relative_to(places.ROOT)}", file=sys.stderr)
    return 0


def _setup(arguments: argparse.Namespace) -> int:
    install(full=arguments.full)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    workloads, peers = _select(arguments.workloads, arguments.peers)
    plan = Plan(arguments.rounds, arguments.seconds, arguments.warm)
    print(summary(_measure(workloads, peers, plan, arguments.out)))
    return 0


def _measure(workloads: list[Workload], peers: list[Peer], plan: Plan, path: Path) -> Results:
    require("wrk", *(["h2load"] if any(workload.http2 for workload in workloads) else []))
    cores = Cores.choose()
    settings = {"rounds": plan.rounds, "seconds": plan.seconds, "warm_seconds": plan.warm_seconds}
    results = Results(machine(), settings, versions(peers))
    with Database(cores.load) as database:
        Measurement(plan, cores, database, results, path).run(workloads, peers)
    return results


def _cold(arguments: argparse.Namespace) -> int:
    workloads, peers = _select(arguments.workloads, arguments.peers)
    cores = Cores.choose()
    results = (
        Results.read(arguments.out)
        if arguments.out.exists()
        else Results(machine(), {"rounds": arguments.rounds}, versions(peers))
    )
    results.cold.clear()
    with Database(cores.load) as database:
        cold_starts(arguments.rounds, cores, database, results, arguments.out, workloads, peers)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    workloads, peers = _select(arguments.workloads, arguments.peers)
    cores = Cores.choose()
    wrong = 0
    with Database(cores.load) as database:
        for peer in peers:
            servers = Servers(cores.server, database.url)
            try:
                for workload in workloads:
                    if workload.group == peer.group and workload.name in peer.targets:
                        wrong += not _check(peer, workload, servers)
            finally:
                servers.stop()
    return 1 if wrong else 0


def _check(peer: Peer, workload: Workload, servers: Servers) -> bool:
    try:
        with servers.lease(peer, workload) as server:
            said = verify(server, workload)
    except FAILURES as error:
        print(f"{workload.name:12} {peer.name:20} WRONG {error}", flush=True)
        return False
    print(f"{workload.name:12} {peer.name:20} {said}", flush=True)
    return True


def _report(arguments: argparse.Namespace) -> int:
    print(report(Results.read(arguments.file), arguments.ref))
    return 0


def _select(
    workloads: list[str] | tuple[str, ...], peers: list[str] | tuple[str, ...]
) -> tuple[list[Workload], list[Peer]]:
    known = {name for each in WORKLOADS for name in (each.name, each.group)} | {each.name for each in PEERS}
    unknown = sorted({*workloads, *peers} - known)
    if unknown:
        raise BenchError(f"there is no workload or peer called {', '.join(unknown)}")
    chosen = [
        each for each in WORKLOADS if not workloads or each.name in workloads or each.group in workloads
    ]
    serving = [each for each in PEERS if not peers or each.name in peers]
    used = [each for each in serving if any(workload.name in each.targets for workload in chosen)]
    installed = []
    for each in used:
        lacking = missing(each)
        if lacking:
            print(f"{each.group}/{each.name} is left out: {lacking} is not installed", file=sys.stderr)
        else:
            installed.append(each)
    return chosen, installed


if __name__ == "__main__":
    sys.exit(main())
