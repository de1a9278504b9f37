"""Runs the live-server tests of Flask, Werkzeug, Django and waitress with Puff in the place of their servers.

Each suite runs twice, with its own server and with ours. What only its own server passes is listed; the exit
status is 1 if `differences.tsv` gives no reason for one of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
sys.path.insert(0, str(FOLDER.parent / "compat"))

import environments  # noqa: E402
import suites  # noqa: E402

FLASK, WERKZEUG, PYTEST_FLASK, WAITRESS = "3.1.3", "3.1.9", "1.3.0", "3.0.2"
PACKAGES = [
    *(f"Flask=={FLASK}", f"Werkzeug=={WERKZEUG}", f"pytest-flask=={PYTEST_FLASK}", f"waitress=={WAITRESS}"),
    *("asgiref", "cryptography", "ephemeral-port-reserve", "greenlet>=3.2", "jinja2", "pytest<9"),
    *("pytest-timeout", "sqlparse", "tblib", "tomli>=2; python_version < '3.11'"),
]
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

    def outcomes(self, results: Path, log: str) -> suites.Outcomes:
        if self.project == "Django":
            lines = re.findall(
                r"^(test_\w+) \(([\w.]+)\)(?:\n[^\n]+)? \.\.\. .*?\b(ok|FAIL|ERROR|skipped)\b",
                log,
                re.MULTILINE,
            )
            meaning = {"ok": "passed", "skipped": "skipped"}
            return {path: meaning.get(word, "failed") for _, path, word in lines}
        return suites.junit(results)


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
    parser.add_argument("-k", dest="chosen", help="only these tests (pytest's and Django's -k)")
    options = suites.chosen(parser, SUITES)
    try:
        python = environment()
    except subprocess.SubprocessError as error:
        print(f"the frameworks are not to be had: {error}", file=sys.stderr)
        return suites.NO_PACKAGES
    why = suites.reasons(FOLDER / "differences.tsv")
    status = 0
    for name in options.suites:
        own, ours = (run(name, server, python, options.chosen) for server in ("own", "puff"))
        passed, lost = suites.lost(own, ours)
        kept = len(passed) - len(lost)
        print(f"{name}: of {len(own)} tests its own server passes {len(passed)}, Puff {kept} of these")
        status |= suites.explain(name, dict.fromkeys(lost, ""), why)
        if not passed:
            print(f"  nothing passed: see {suites.log_of('frameworks', name, 'own')}")
            status = 1
    return status


def run(name: str, server: str, python: Path, chosen: str | None) -> suites.Outcomes:
    """One run of one suite; its output is in `target/compat/results`."""
    suite, log = SUITES[name], suites.log_of("frameworks", name, server)
    results = log.with_suffix(".xml")
    results.unlink(missing_ok=True)
    suites.run(
        [suite.command(python, results) + (["-k", chosen] if chosen else [])],
        folder=environments.source(suite.project, suite.version, python),
        env={
            **suites.clean_environment(),
            "FRAMEWORKS_SERVER": server,
            "FRAMEWORKS_SUITE": name,
            "FRAMEWORKS_FILES": str(log.parent),
            "PUFF_WATCHDOG": "0",
            # The page for developers is ours alone.
            "PUFF_DEBUG": "false",
        },
        log=log,
        seconds=SECONDS,
    )
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
