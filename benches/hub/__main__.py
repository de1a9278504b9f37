"""`python -m hub`, in the folder `benches`: Puff's greenlets beside gevent's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from peers import places
from peers.errors import BenchError
from turns import Contest, Task, main

from .tasks import GREENLETS, SPAWNED

_NATIVE = Path(__file__).parent / "native" / "Cargo.toml"
_NATIVE_TARGET = places.WORK / "hub"

_LATENESS = ("median_us", "p99_us", "cpu_us")


@contextmanager
def _native() -> Iterator[Mapping[str, str]]:
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
    yield {}


_CONTEST = Contest(
    name="hub",
    sides={
        "puff": [
            [str(places.BIN / "puff"), "run", "hub.on_puff.main"],
            [str(_NATIVE_TARGET / "release" / "puff-bench-hub"), "run"],
        ],
        "gevent": [[str(places.BIN / "python"), "-m", "hub.on_gevent"]],
    },
    titles={"puff": "Puff", "gevent": "gevent"},
    tasks=(
        Task("spawn", f"spawn, run and join, {SPAWNED:,} times"),
        Task("complete", f"an operation that completes at once, in {GREENLETS} greenlets"),
        Task("ready", f"a Rust future that is ready at once, in {GREENLETS} greenlets"),
        Task("later", f"a Rust future that another thread ends, in {GREENLETS} greenlets"),
        Task("sleep_zero", f"sleep(0), in {GREENLETS} greenlets"),
        Task("read", f"a small file read on another thread, in {GREENLETS} greenlets"),
        Task("late_alone", "sleep(5 ms) ends late by, 1 greenlet", _LATENESS),
        Task("late_among_many", f"sleep(5 ms) ends late by, {GREENLETS} greenlets", _LATENESS),
    ),
    ratios=(("Puff's is x", "puff", "gevent"),),
    packages=("py:puff-py", "py:gevent", "py:greenlet"),
    prepare=_native,
)

if __name__ == "__main__":
    sys.exit(main(_CONTEST, __doc__))
