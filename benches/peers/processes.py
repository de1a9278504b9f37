"""Child processes: on one core, in a session of their own, gone when we are."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

_STOP_SECONDS = 6


@dataclass(frozen=True)
class Cores:
    """Where the parts run: the server alone on one core, everything that loads it on another."""

    server: int
    load: int

    @classmethod
    def choose(cls) -> Cores:
        """The first and the last core we may use; `BENCH_SERVER_CPU` and `BENCH_LOAD_CPU` say otherwise."""
        ours = sorted(os.sched_getaffinity(0))
        return cls(
            int(os.environ.get("BENCH_SERVER_CPU", ours[0])),
            int(os.environ.get("BENCH_LOAD_CPU", ours[-1])),
        )


@dataclass(frozen=True)
class Launch:
    """How to start a process.

    Attributes:
        core: the one core that it and its children run on.
        log: where its output is appended.
        stop_signal: what ends it in order; it also gets it when the harness dies.
        user: another user to run as, where we are root.
    """

    argv: Sequence[str]
    core: int
    directory: Path
    environment: Mapping[str, str]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None


def start(launch: Launch) -> subprocess.Popen[bytes]:
    """Starts it.

    Raises:
        OSError: there is no such program or directory.
    """

    def prepare() -> None:
        os.sched_setaffinity(0, {launch.core})
        _libc.prctl(_PR_SET_PDEATHSIG, launch.stop_signal.value)

    launch.log.parent.mkdir(parents=True, exist_ok=True)
    with launch.log.open("ab") as log:
        return subprocess.Popen(
            launch.argv,
            cwd=launch.directory,
            env=dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=prepare,
            user=launch.user,
            group=None if launch.user is None else pwd.getpwnam(launch.user).pw_gid,
            extra_groups=None if launch.user is None else [],
        )


def stop(
    process: subprocess.Popen[bytes] | subprocess.Popen[str], stop_signal: signal.Signals = signal.SIGTERM
) -> None:
    """Ends a process and whatever is left of its session."""
    if process.poll() is None:
        _signal_session(process.pid, stop_signal)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _signal_session(process.pid, signal.SIGKILL)
            process.wait()
    _signal_session(process.pid, signal.SIGKILL)


def _signal_session(leader: int, signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # nobody is left
        os.killpg(leader, signum)


def plain_environment() -> dict[str, str]:
    """Ours without what would change how a peer runs."""
    foreign = ("PUFF_", "BENCH_", "PYTHON", "DJANGO_", "DATABASE_", "REDIS_", "VIRTUAL_ENV", "PG", "MAKE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "PYTHONUNBUFFERED": "1"}
