"""What the harness knows of a peer."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import places
from ..workloads import Body, Workload

Target = str | tuple[str, Body]


@dataclass(frozen=True)
class Peer:
    """A server to measure.

    `command` and the values of `environment` may hold placeholders: `{port}` the loopback port to listen on,
    `{pg_url}` the private PostgreSQL, `{bin}` the bench venv's programs, `{apps}` the folder of the apps,
    `{floors}` the Rust peers' programs, `{node}` Node, `{cert}` and `{key}` the files of a certificate.

    Attributes:
        name: unique in its group.
        targets: by workload, the path, or path and body where the peer needs another query.
        directory: where it runs, below `apps` unless absolute.
        note: threads, driver, what is special; for the report.
        packages: what it needs and the report tells the version of: `py:granian`, `rs:axum`, `js:mercurius`.
    """

    name: str
    group: str
    command: str
    targets: Mapping[str, Target]
    directory: str
    note: str
    environment: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()

    def program(self) -> Path:
        """The executable, which setup makes."""
        return Path(self.argv(0, "")[0])

    def argv(self, port: int, pg_url: str) -> list[str]:
        """The command, ready to run."""
        return [_fill(word, port, pg_url) for word in shlex.split(self.command)]

    def variables(self, port: int, pg_url: str) -> dict[str, str]:
        """The environment it needs beyond a plain one."""
        own = {name: _fill(value, port, pg_url) for name, value in self.environment.items()}
        return {"BENCH_PG_URL": pg_url, **own}

    def target(self, workload: Workload) -> tuple[str, Body | None]:
        """Path and body of a workload's request.

        Raises:
            KeyError: the peer does not serve it.
        """
        target = self.targets[workload.name]
        return (target, workload.body) if isinstance(target, str) else target


def _fill(text: str, port: int, pg_url: str) -> str:
    return text.format(
        port=port,
        pg_url=pg_url,
        bin=places.BIN,
        apps=places.APPS,
        floors=places.FLOORS_TARGET / "release",
        node=places.NODE,
        cert=places.CERTIFICATE,
        key=places.KEY,
    )
