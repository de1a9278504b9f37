"""What the kernel says about processes and cores."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_HZ = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU of a process tree, with the children it has reaped."""

    user: float
    system: float

    @property
    def total(self) -> float:
        """User and system."""
        return self.user + self.system

    def __sub__(self, earlier: Cpu) -> Cpu:
        return Cpu(self.user - earlier.user, self.system - earlier.system)


@dataclass(frozen=True)
class Core:
    """Seconds that a core was busy, and that the hypervisor kept it from us."""

    busy: float
    steal: float


def tree(root: int) -> list[int]:
    """`root` and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_stat(int(entry.name))[1])
            except OSError:
                continue  # it has ended meanwhile
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu(root: int) -> Cpu:
    """CPU of a process tree so far."""
    user = system = 0
    for pid in tree(root):
        try:
            fields = _stat(pid)
        except OSError:
            continue
        user += int(fields[11]) + int(fields[13])
        system += int(fields[12]) + int(fields[14])
    return Cpu(user / _HZ, system / _HZ)


def cpu_seconds(root: int) -> float:
    """CPU of a tree of processes with one thread each, such as PostgreSQL's, so far.

    To the nanosecond while they live: `cpu` knows ticks only, and most of 256 backends use none in a round.
    """
    reaped = nanoseconds = 0
    for pid in tree(root):
        try:
            fields = _stat(pid)
            nanoseconds += int((_PROC / str(pid) / "schedstat").read_text().split()[0])
        except OSError:
            continue
        reaped += int(fields[13]) + int(fields[14])
    return reaped / _HZ + nanoseconds / 1e9


def rss_mib(root: int) -> float:
    """Resident memory summed over a process tree; shared pages count once per process."""
    return sum(_rss_kib(pid) for pid in tree(root)) / 1024


def threads(root: int) -> int:
    """Threads of a process tree."""
    return sum(_threads(pid) for pid in tree(root))


def cores() -> dict[int, Core]:
    """Every core, by number."""
    found = {}
    for line in (_PROC / "stat").read_text().splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, ticks)
            found[int(name[3:])] = Core((user + nice + system + irq + softirq) / _HZ, steal / _HZ)
    return found


def _stat(pid: int) -> list[str]:
    # The name in parentheses may hold anything; what follows is plain. Index 0 is the state.
    text = (_PROC / str(pid) / "stat").read_text()
    return text[text.rindex(")") + 2 :].split()


def _rss_kib(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


def _threads(pid: int) -> int:
    try:
        return sum(1 for _ in (_PROC / str(pid) / "task").iterdir())
    except OSError:
        return 0
