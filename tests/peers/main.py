"""Runs django-redis's and channels_redis's own tests, with Puff's cache and channel layer for their classes.

Each suite runs twice on a private Valkey, with its own classes and with ours. What only its own pass is
listed; the exit status is 1 if `differences.tsv` gives no reason for one of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
sys.path.insert(0, str(FOLDER.parent / "compat"))

import environments  # noqa: E402
import server  # noqa: E402
import suites  # noqa: E402

DJANGO_REDIS, CHANNELS_REDIS, CHANNELS = "7.0.0", "4.3.0", "4.3.2"
PACKAGES = [
    *(f"Django=={environments.DJANGO}", f"django-redis=={DJANGO_REDIS}", f"channels-redis=={CHANNELS_REDIS}"),
    *(f"channels=={CHANNELS}", "redis==8.1.0", "greenlet>=3.2", "tomli>=2; python_version < '3.11'"),
    *("msgpack", "lz4", "pyzstd", "async-timeout", "cryptography"),
    *("pytest>=9", "pytest-asyncio", "pytest-mock", "pytest-timeout", "pytest-xdist"),
]
SECONDS = 580
"""Bound on one run of one suite."""


@dataclasses.dataclass
class Suite:
    """Tests of a source distribution, and where they expect Redis."""

    project: str
    version: str
    tests: list[str]
    variants: list[list[str]]
    """Arguments of processes that run at once, all of the tests together."""
    address: str


SUITES = {
    "django-redis": Suite(
        "django-redis",
        DJANGO_REDIS,
        [
            *("tests/test_backend.py", "tests/test_backend_sorted_sets.py"),
            *("tests/test_cache_options.py", "tests/test_session.py", "-o", "pythonpath=tests"),
        ],
        # Each of its settings needs a process. The others are of clients that we have no counterpart for, or
        # have another compressor.
        [["-k", name] for name in ("sqlite and not sqlite_", "sqlite_gzip", "sqlite_json", "sqlite_msgpack")],
        "127.0.0.1:6379",
    ),
    "channels-redis": Suite(
        "channels-redis",
        CHANNELS_REDIS,
        ["tests/test_core.py", "-o", "asyncio_mode=auto"],
        [[]],
        "localhost:6379",
    ),
}


def main() -> int:
    options = suites.chosen(argparse.ArgumentParser(prog="tests/peers/run", description=__doc__), SUITES)
    try:
        python = environment()
    except subprocess.SubprocessError as error:
        print(f"the packages are not to be had: {error}", file=sys.stderr)
        return suites.NO_PACKAGES
    why = suites.reasons(FOLDER / "differences.tsv")
    status = 0
    for name in options.suites:
        own, ours = (run(name, whose, python) for whose in ("own", "puff"))
        passed, lost = suites.lost(own, ours)
        kept = len(passed) - len(lost)
        print(f"{name}: of {len(own)} tests its own classes pass {len(passed)}, Puff's {kept} of these")
        status |= suites.explain(name, dict.fromkeys(lost, ""), why)
        if not passed:
            print(f"  nothing passed: see {suites.log_of('peers', name, 'own')}")
            status = 1
    return status


def run(name: str, whose: str, python: Path) -> suites.Outcomes:
    """One run of one suite; its output is in `target/compat/results`."""
    suite, log = SUITES[name], suites.log_of("peers", name, whose)
    results = [log.with_suffix(f".{number}.xml") for number, _ in enumerate(suite.variants)]
    for path in results:
        path.unlink(missing_ok=True)
    quiet = ["-q", "-o", "addopts=", "-o", "filterwarnings=default", "-p", "no:cacheprovider"]
    quiet += ["-p", "peers_startup", "--timeout=60", *suite.tests]
    with server.valkey() as found:
        url = found["COMPAT_REDIS_URL"]
        suites.run(
            [
                [str(python), "-m", "pytest", *quiet, *variant, f"--junitxml={path}"]
                for variant, path in zip(suite.variants, results, strict=True)
            ],
            folder=adapted(suite, python, url.removeprefix("redis://")),
            env={
                **suites.clean_environment("REDIS_URL", "DATABASE_URL"),
                "PEERS": whose,
                "PEERS_REDIS": url,
            },
            log=log,
            seconds=SECONDS,
        )
    return {test: outcome for path in results for test, outcome in suites.junit(path).items()}


def adapted(suite: Suite, python: Path, address: str) -> Path:
    """A copy of the suite whose Redis is at `address`."""
    folder = environments.WORK / "peers" / suite.project
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(environments.source(suite.project, suite.version, python) / "tests", folder / "tests")
    for path in folder.rglob("*.py"):
        text = path.read_text()
        path.write_text(text.replace(suite.address, address))
    return folder


def environment() -> Path:
    """The Python of an environment with the suites' packages, the checkout's package, and what joins them."""
    with environments.prepared("peers", PACKAGES) as python:
        environments.join(python, "peers", (FOLDER / "suite", ROOT / "python"))
    return python


if __name__ == "__main__":
    sys.exit(main())
