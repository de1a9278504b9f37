"""Runs django-redis's and channels_redis's own tests, with Puff's cache and channel layer for their classes.

Each suite runs twice on a private Valkey, with its own classes and with ours. What only its own pass is
listed; the exit status is 1 if `differences.tsv` gives no reason for one of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
sys.path.insert(0, str(FOLDER.parent / "compat"))

import environments  # noqa: E402
import server  # noqa: E402

Outcomes = dict[str, str]
"""Of each test: "passed", "failed" or "skipped"."""

DJANGO_REDIS, CHANNELS_REDIS, CHANNELS = "7.0.0", "4.3.0", "4.3.2"
PACKAGES = [
    *(f"Django=={environments.DJANGO}", f"django-redis=={DJANGO_REDIS}", f"channels-redis=={CHANNELS_REDIS}"),
    *(f"channels=={CHANNELS}", "redis==8.1.0", "greenlet>=3.2", "tomli>=2; python_version < '3.11'"),
    *("msgpack", "lz4", "pyzstd", "async-timeout", "cryptography"),
    *("pytest>=9", "pytest-asyncio", "pytest-mock", "pytest-timeout", "pytest-xdist"),
]
NO_PACKAGES = 3
"""The status without packages."""
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
    parser = argparse.ArgumentParser(prog="tests/peers/run", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{', '.join(SUITES)}; all by default")
    options = parser.parse_args()
    # Not by `choices`, which Python before 3.12 looks for in the list of none as well.
    for name in options.suites:
        if name not in SUITES:
            parser.error(f"there is no suite {name!r}; there are {', '.join(SUITES)}")
    options.suites = options.suites or list(SUITES)
    try:
        python = environment()
    except subprocess.SubprocessError as error:
        print(f"the packages are not to be had: {error}", file=sys.stderr)
        return NO_PACKAGES
    lines = (FOLDER / "differences.tsv").read_text().splitlines()
    reasons = [line.split("\t") for line in lines if line[:1] not in "#"]
    status = 0
    for name in options.suites:
        own, ours = (run(name, whose, python) for whose in ("own", "puff"))
        passed = [test for test, outcome in own.items() if outcome == "passed"]
        lost = [test for test in passed if ours.get(test) != "passed"]
        kept = len(passed) - len(lost)
        print(f"{name}: of {len(own)} tests its own classes pass {len(passed)}, Puff's {kept} of these")
        for test in lost:
            why = [text for suite, known, text in reasons if suite == name and fnmatch.fnmatch(test, known)]
            print(f"  {test}: {why[0] if why else 'NO REASON KNOWN'}")
            status |= not why
        if not passed:
            print(f"  nothing passed: see {log_of(name, 'own')}")
            status = 1
    return status


def log_of(name: str, whose: str) -> Path:
    return environments.WORK / "results" / f"peers-{name}-{whose}.log"


def run(name: str, whose: str, python: Path) -> Outcomes:
    """One run of one suite; its output is in `target/compat/results`."""
    suite, log = SUITES[name], log_of(name, whose)
    log.parent.mkdir(parents=True, exist_ok=True)
    results = [log.with_suffix(f".{number}.xml") for number, _ in enumerate(suite.variants)]
    for path in results:
        path.unlink(missing_ok=True)
    drop = ("PUFF_", "PYTEST_", "DJANGO_", "PYTHON", "REDIS_URL", "DATABASE_URL")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(drop)}
    quiet = ["-q", "-o", "addopts=", "-o", "filterwarnings=default", "-p", "no:cacheprovider"]
    quiet += ["-p", "peers_startup", "--timeout=60", *suite.tests]
    with server.valkey() as found, log.open("wb") as output:
        url = found["COMPAT_REDIS_URL"]
        folder = adapted(suite, python, url.removeprefix("redis://"))
        processes = [
            subprocess.Popen(
                [str(python), "-m", "pytest", *quiet, *variant, f"--junitxml={path}"],
                cwd=folder,
                env={**kept, "PEERS": whose, "PEERS_REDIS": url},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            for variant, path in zip(suite.variants, results, strict=True)
        ]
        try:
            for process in processes:
                process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{name}, {whose}: out of time", file=sys.stderr)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    return {test: outcome for path in results for test, outcome in outcomes(path).items()}


def adapted(suite: Suite, python: Path, address: str) -> Path:
    """A copy of the suite whose Redis is at `address`."""
    folder = environments.WORK / "peers" / suite.project
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(environments.source(suite.project, suite.version, python) / "tests", folder / "tests")
    for path in folder.rglob("*.py"):
        text = path.read_text()
        path.write_text(text.replace(suite.address, address))
    return folder


def outcomes(results: Path) -> Outcomes:
    if not results.exists():
        return {}
    found = {}
    for case in xml.etree.ElementTree.parse(results).iter("testcase"):
        kinds = {child.tag for child in case}
        failed = kinds & {"failure", "error"}
        outcome = "failed" if failed else "skipped" if "skipped" in kinds else "passed"
        found[f"{case.get('classname')}::{case.get('name')}"] = outcome
    return found


def environment() -> Path:
    """The Python of an environment with the suites' packages, the checkout's package, and what joins them."""
    with environments.prepared("peers", PACKAGES) as python:
        environments.join(python, "peers", (FOLDER / "suite", ROOT / "python"))
    return python


if __name__ == "__main__":
    sys.exit(main())
