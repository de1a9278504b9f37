"""Runs the live-server tests of Flask, Werkzeug, Django and waitress with Puff in the place of their servers.

Each suite runs twice, with its own server and with ours. What only its own server passes is listed; the exit
status is 1 if `differences.tsv` gives no reason for one of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import os
import re
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
sys.path.insert(0, str(FOLDER.parent / "compat"))

import environments  # noqa: E402

Outcomes = dict[str, str]
"""Of each test: "passed", "failed" or "skipped"."""

FLASK, WERKZEUG, PYTEST_FLASK, WAITRESS = "3.1.3", "3.1.9", "1.3.0", "3.0.2"
PACKAGES = [
    *(f"Flask=={FLASK}", f"Werkzeug=={WERKZEUG}", f"pytest-flask=={PYTEST_FLASK}", f"waitress=={WAITRESS}"),
    *("asgiref", "cryptography", "ephemeral-port-reserve", "greenlet>=3.2", "jinja2", "pytest<9"),
    *("pytest-timeout", "sqlparse", "tblib", "tomli>=2; python_version < '3.11'"),
]
NO_FRAMEWORKS = 3
"""The status without packages."""
SECONDS = 300
"""Bound on one run of one suite."""


@dataclasses.dataclass
class Suite:
    """Tests of a source distribution: pytest's arguments, or labels of Django's."""

    project: str
    version: str
    tests: list[str]

    def command(self, python: Path, results: Path) -> list[str]:
        if self.project == "Django":
            settings = ["--settings=frameworks_settings", "--noinput", "--parallel=1", "--verbosity=2"]
            return [str(python), "tests/runtests.py", *settings, *self.tests]
        quiet = ["-q", "-o", "addopts=", "-o", "filterwarnings=default", "-p", "no:cacheprovider"]
        return [str(python), "-m", "pytest", *quiet, "--timeout=20", f"--junitxml={results}", *self.tests]

    def outcomes(self, results: Path, log: str) -> Outcomes:
        if self.project == "Django":
            lines = re.findall(
                r"^(test_\w+) \(([\w.]+)\)(?:\n[^\n]+)? \.\.\. .*?\b(ok|FAIL|ERROR|skipped)\b",
                log,
                re.MULTILINE,
            )
            meaning = {"ok": "passed", "skipped": "skipped"}
            return {path: meaning.get(word, "failed") for _, path, word in lines}
        if not results.exists():
            return {}
        found = {}
        for case in xml.etree.ElementTree.parse(results).iter("testcase"):
            kinds = {child.tag for child in case}
            failed = kinds & {"failure", "error"}
            outcome = "failed" if failed else "skipped" if "skipped" in kinds else "passed"
            found[f"{case.get('classname')}::{case.get('name')}"] = outcome
        return found


SUITES = {
    "werkzeug": Suite("Werkzeug", WERKZEUG, ["tests/test_serving.py", "-m", "dev_server"]),
    "flask": Suite("pytest-flask", PYTEST_FLASK, ["tests/test_live_server.py"]),
    "django": Suite(
        "Django",
        environments.DJANGO,
        [
            "servers.tests",
            "servers.test_liveserverthread",
            "staticfiles_tests.test_liveserver",
            "file_storage",
        ],
    ),
    "waitress": Suite("waitress", WAITRESS, ["tests/test_functional.py"]),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/frameworks/run", description=__doc__)
    parser.add_argument("suites", nargs="*", default=list(SUITES), help=", ".join(SUITES))
    parser.add_argument("-k", dest="chosen", help="only these tests (pytest's and Django's -k)")
    options = parser.parse_args()
    try:
        python = environment()
    except subprocess.SubprocessError as error:
        print(f"the frameworks are not to be had: {error}", file=sys.stderr)
        return NO_FRAMEWORKS
    reasons = [
        line.split("\t")
        for line in (FOLDER / "differences.tsv").read_text().splitlines()
        if line[:1] not in "#"
    ]
    status = 0
    for name in options.suites:
        own, ours = (run(name, server, python, options.chosen) for server in ("own", "puff"))
        passed = [test for test, outcome in own.items() if outcome == "passed"]
        lost = [test for test in passed if ours.get(test) != "passed"]
        kept = len(passed) - len(lost)
        print(f"{name}: of {len(own)} tests its own server passes {len(passed)}, Puff {kept} of these")
        for test in lost:
            why = [
                reason for suite, known, reason in reasons if suite == name and fnmatch.fnmatch(test, known)
            ]
            print(f"  {test}: {why[0] if why else 'NO REASON KNOWN'}")
            status |= not why
        if not passed:
            print(f"  nothing passed: see {log_of(name, 'own')}")
            status = 1
    return status


def log_of(name: str, server: str) -> Path:
    return environments.WORK / "results" / f"frameworks-{name}-{server}.log"


def run(name: str, server: str, python: Path, chosen: str | None) -> Outcomes:
    """One run of one suite; its output is in `target/compat/results`."""
    suite = SUITES[name]
    log = log_of(name, server)
    log.parent.mkdir(parents=True, exist_ok=True)
    results = log.with_suffix(".xml")
    results.unlink(missing_ok=True)
    drop = ("PUFF_", "PYTEST_", "DJANGO_", "PYTHON")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(drop)}
    command = suite.command(python, results) + (["-k", chosen] if chosen else [])
    source = environments.source(suite.project, suite.version, python)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=source,
            env={
                **kept,
                "FRAMEWORKS_SERVER": server,
                "FRAMEWORKS_SUITE": name,
                "FRAMEWORKS_FILES": str(log.parent),
                "PUFF_WATCHDOG": "0",
                # The page for developers is ours alone.
                "PUFF_DEBUG": "false",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{name} with {server}: out of time", file=sys.stderr)
        finally:
            process.kill()
            process.wait()
    return suite.outcomes(results, log.read_text(errors="replace"))


def environment() -> Path:
    """The Python of an environment with the frameworks, the checkout's package, and what joins them."""
    with environments.prepared("frameworks", PACKAGES) as python:
        django = environments.source("Django", environments.DJANGO, python)
        paths = [FOLDER / "suite", django, ROOT / "python"]
        environments.join(python, "frameworks", [*paths, "import frameworks_startup"])
    return python


if __name__ == "__main__":
    sys.exit(main())
