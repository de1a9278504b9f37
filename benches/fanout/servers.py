"""The servers beside each other. All serve `/fanout?channels=a,b`, and say `ready` when subscribed."""

from __future__ import annotations

import shlex
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from peers import places, processes
from peers.errors import PeerError
from peers.machine import package_versions
from peers.ports import free_port

_START_SECONDS = 30


@dataclass(frozen=True)
class Side:
    """A server, and how its system publishes.

    `command`, `publisher` and the values of `environment` may hold placeholders: `{port}`, `{redis_url}`, and
    `{bin}` and `{floors}`, the folders of the programs.

    Attributes:
        directory: where both run, below `peers/apps`.
        path: which the WebSockets ask for.
        publisher: a program beside the load that publishes the lines it reads; None has the load PUBLISH.
        packages: what the results tell the versions of, and without which the side is left out.
        may_lag: whether it is only told, not judged, that it did not keep up with a workload.
    """

    name: str
    title: str
    command: str
    directory: str
    packages: tuple[str, ...]
    path: str = "/fanout"
    publisher: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    may_lag: bool = False

    def argv(self, command: str, redis_url: str, port: int = 0) -> list[str]:
        """`command` without its placeholders."""
        return [self._fill(word, redis_url, port) for word in shlex.split(command)]

    def variables(self, redis_url: str) -> dict[str, str]:
        """What it adds to the environment."""
        filled = {name: self._fill(value, redis_url, 0) for name, value in self.environment.items()}
        return {"BENCH_REDIS_URL": redis_url, "VIRTUAL_ENV": str(places.VENV), **filled}

    def _fill(self, text: str, redis_url: str, port: int) -> str:
        floors = places.FLOORS_TARGET / "release"
        return text.format(port=port, redis_url=redis_url, bin=places.BIN, floors=floors)

    def missing(self) -> str | None:
        """A program or a package that is not installed; None if all is there."""
        program = Path(self.argv(self.command, "")[0])
        if not program.exists():
            return program.name
        installed = package_versions(self.packages)
        names = (package.partition(":")[2] for package in self.packages)
        return next((name for name in names if name not in installed), None)


_PUFF = {
    "PUFF_ENV": "production",  # would refuse to start a private service
    "PUFF_LOG": "warn",
    "PUFF_REDIS_URL": "{redis_url}",
}
_UVICORN = (
    "{bin}/uvicorn --host 127.0.0.1 --port {port} --loop uvloop --http httptools --ws websockets-sansio "
    "--log-level warning --no-access-log fanout:application"
)
_CHANNELS_PACKAGES = ("py:channels", "py:channels-redis", "py:django", "py:uvicorn", "py:uvloop", "py:redis")


def _channels(name: str, title: str, layer: str) -> Side:
    return Side(
        name,
        title,
        _UVICORN,
        "channels",
        (*_CHANNELS_PACKAGES, "py:hiredis", "py:websockets"),
        publisher="{bin}/python -m fanout",
        environment={"BENCH_LAYER": layer},
        may_lag=True,
    )


SIDES: Sequence[Side] = (
    Side("rust", "axum + redis-rs", "{floors}/bench-fanout {port}", ".", ("rs:axum", "rs:redis", "rs:tokio")),
    Side(
        "puff",
        "Puff, a greenlet each",
        "{bin}/puff runserver --bind 127.0.0.1:{port} --wsgi fanout:app",
        "puff",
        ("py:puff-py", "py:greenlet"),
        publisher="{bin}/puff run fanout.publish",
        environment=_PUFF,
    ),
    Side(
        "puff-bound",
        "Puff, bound",
        "{bin}/puff runserver --bind 127.0.0.1:{port} --wsgi fanout:app",
        "puff",
        ("py:puff-py", "py:greenlet"),
        path="/bound",
        publisher="{bin}/puff run fanout.publish",
        environment=_PUFF,
    ),
    _channels("channels", "Channels, pub-sub layer", "channels_redis.pubsub.RedisPubSubChannelLayer"),
    _channels("channels-core", "Channels, core layer", "channels_redis.core.RedisChannelLayer"),
)


class Server:
    """A side's process, from its start to `stop`.

    Raises:
        PeerError: it did not start.
    """

    def __init__(self, side: Side, core: int, redis_url: str) -> None:
        self.port = free_port()
        self._log = places.LOGS / f"fanout-{side.name}.log"
        environment = {**processes.plain_environment(), **side.variables(redis_url)}
        argv = side.argv(side.command, redis_url, self.port)
        directory = places.APPS / side.directory
        self._process: subprocess.Popen[bytes] = processes.start(
            processes.Launch(argv, core, directory, environment, self._log)
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The root of its process tree."""
        return self._process.pid

    def stop(self) -> None:
        """Ends it and its children."""
        processes.stop(self._process)

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise PeerError(f"exited with {self._process.returncode}; see {self._log}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise PeerError(f"did not listen within {_START_SECONDS} s; see {self._log}")
