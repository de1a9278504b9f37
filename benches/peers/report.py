"""Results as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from .bars import judge
from .results import Measured, Results, Round
from .tables import ratio, table, verdicts
from .workloads import WORKLOADS, Workload


def _cpu(each: Round) -> float:
    return each.cpu_us


def _rate(each: Round) -> float:
    return each.requests_per_second


def summary(results: Results) -> str:
    """The short form: for each workload one table against Puff, then the bars."""
    parts = [_short(workload, measured) for workload, measured in _measured(results)]
    return "\n\n".join([*parts, *_bars(results), *_failures(results)])


def report(results: Results, reference: str | None = None) -> str:
    """The long form; `reference` is another peer to take the ratios against."""
    parts = [_head(results), *_bars(results)]
    parts += [_long(workload, measured, reference) for workload, measured in _measured(results)]
    return "\n\n".join([*parts, *_cold(results), *_failures(results)])


def _measured(results: Results) -> list[tuple[Workload, dict[str, Measured]]]:
    found = []
    for workload in WORKLOADS:
        peers = results.workloads.get(workload.name, {})
        complete = {name: each for name, each in peers.items() if each.rounds}
        if complete:
            by_cpu = sorted(complete.items(), key=lambda item: item[1].median(_cpu))
            found.append((workload, dict(by_cpu)))
    return found


def _short(workload: Workload, measured: dict[str, Measured]) -> str:
    puff = measured.get("puff")
    head = ["peer", "req/s", "Puff's is x", "p99 ms", "CPU us/request", "Puff's is x"]
    rows = [
        [
            name,
            f"{each.median(_rate):.0f}",
            ratio(puff.ratio(each, _rate) if puff else None),
            f"{each.median(lambda r: r.p99_ms):.2f}",
            f"{each.median(_cpu):.1f}",
            ratio(puff.ratio(each, _cpu) if puff else None),
        ]
        for name, each in measured.items()
    ]
    return f"{_title(workload)}\n\n{table(head, rows)}\n\n{_noise(measured)}"


def _long(workload: Workload, measured: dict[str, Measured], reference: str | None) -> str:
    name = next((n for n in (reference, workload.reference) if n in measured), None) or next(iter(measured))
    against, floor = measured[name], measured.get(workload.floor)
    columns: list[tuple[str, Callable[[Measured], str]]] = [
        ("req/s", lambda m: f"{m.median(_rate):.0f}"),
        ("x ref", lambda m: ratio(m.ratio(against, _rate))),
        ("p50 ms", lambda m: f"{m.median(lambda r: r.p50_ms):.2f}"),
        ("p99 ms", lambda m: f"{m.median(lambda r: r.p99_ms):.2f}"),
        ("CPU us", lambda m: f"{m.median(_cpu):.1f}"),
        (
            "user + sys",
            lambda m: f"{m.median(lambda r: r.user_us):.1f} + {m.median(lambda r: r.system_us):.1f}",
        ),
        ("x ref", lambda m: ratio(m.ratio(against, _cpu))),
        ("x floor", lambda m: ratio(m.ratio(floor, _cpu) if floor else None)),
        ("per core", lambda m: f"{1e6 / m.median(_cpu):.0f}"),
        ("PG us", lambda m: f"{m.median(lambda r: r.database_us):.1f}"),
        ("with PG", lambda m: f"{m.median(lambda r: r.cpu_us + r.database_us):.1f}"),
        ("RSS MiB", lambda m: f"{m.median(lambda r: r.rss_mib):.0f}"),
        ("threads", lambda m: f"{m.median(lambda r: r.threads):.0f}"),
        ("core used", lambda m: f"{m.median(lambda r: r.server_core_used):.0%}"),
        ("spread", _spread),
        ("failed", lambda m: str(sum(r.failed for r in m.rounds))),
        ("equal", lambda m: m.equal),
    ]
    rows = [[peer, *(show(each) for _, show in columns)] for peer, each in measured.items()]
    notes = "; ".join(f"{peer}: {each.note}" for peer, each in measured.items())
    body = table(["peer", *(head for head, _ in columns)], rows)
    return f"{_title(workload)}\n\nReference: {name}. {_noise(measured)}\n\n{body}\n\n{notes}."


def _title(workload: Workload) -> str:
    return f"### {workload.title} (`{workload.name}`, {workload.connections} connections)"


def _spread(measured: Measured) -> str:
    low, high = measured.spread(_cpu)
    middle = measured.median(_cpu)
    return f"{low / middle:.2f}-{high / middle:.2f}"


def _noise(measured: dict[str, Measured]) -> str:
    rounds = [each for peer in measured.values() for each in peer.rounds]
    server = statistics.median(each.others_on_server_core for each in rounds)
    load = statistics.median(each.others_on_load_core for each in rounds)
    steal = statistics.median(each.steal for each in rounds)
    return f"Others used {server:.0%} of the server's core and {load:.0%} of the load's; steal {steal:.1%}."


def _head(results: Results) -> str:
    machine = results.machine
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in results.settings.items())
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return (
        f"{machine['date']}, {machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}; "
        f"commit {machine['commit']}; {settings}.\n\n"
        f"{versions}."
    )


def _bars(results: Results) -> list[str]:
    judged = judge(results)
    if not judged:
        return []
    rows = [(bar.what, bar.most, found) for bar, found in judged]
    return [f"### Puff beside its bars\n\n{verdicts(rows)}"]


def _cold(results: Results) -> list[str]:
    rows = [
        [
            f"{workload} {peer}",
            f"{statistics.median(s.seconds for s in starts) * 1000:.0f}",
            f"{statistics.median(s.cpu_seconds for s in starts):.2f}",
            f"{statistics.median(s.rss_mib for s in starts):.0f}",
        ]
        for workload, peers in results.cold.items()
        for peer, starts in sorted(peers.items(), key=lambda p: statistics.median(s.seconds for s in p[1]))
    ]
    if not rows:
        return []
    head = ["workload, peer", "ms", "CPU s", "RSS MiB at rest"]
    return ["### Cold start: from exec to the first answer\n\n" + table(head, rows)]


def _failures(results: Results) -> list[str]:
    if not results.failed:
        return []
    return ["Failed:\n\n" + "\n".join(f"- {where}: {why}" for where, why in results.failed.items())]
