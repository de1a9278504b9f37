"""Runs the tests of Django projects from PyPI on Puff's engine and cache inside the runtime, and on psycopg2.

Each suite runs twice, on private servers: in plain Python with Django's own backends, and by `puff pytest`
with ours. Tests whose outcomes differ are listed; the exit status is 1 if `differences.tsv` has no reason.
"""

from __future__ import annotations

import argparse
import concurrent.futures
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

SIDES = ("psycopg2", "puff")
PYTEST_DJANGO = "4.14.0"
PACKAGES = [
    *(f"Django=={environments.DJANGO}", f"pytest-django=={PYTEST_DJANGO}", "pytest>=9", "pytest-timeout"),
    *("pytest-xdist", "redis==8.1.0", "typing_extensions", "django-environ", "django-configurations"),
    *("diff-match-patch==20241021", "tablib[ods,xls,xlsx,yaml]>=3.7", "chardet==5.2.0", "pytz"),
]
NO_PACKAGES = 3
"""The status without packages."""
SECONDS = 580
"""Bound on one run of one suite."""


@dataclasses.dataclass
class Suite:
    """Tests of a source distribution."""

    project: str
    version: str
    tests: list[str]
    """pytest's arguments, as seen from the distribution's folder."""
    settings: str
    path: str = "."
    """The folder that their modules are imported from."""


SUITES = {
    "guardian": Suite("django-guardian", "3.3.1", ["guardian"], "guardian.testapp.testsettings"),
    "import-export": Suite(
        "django-import-export",
        "4.4.3",
        ["tests/core/tests", "-o", "python_files=test*.py"],
        "settings",
        "tests",
    ),
    "reversion": Suite(
        "django-reversion",
        "6.4.0",
        ["tests/test_app/tests", "-o", "python_files=test*.py"],
        "test_project.settings",
        "tests",
    ),
    "pytest-django": Suite("pytest-django", PYTEST_DJANGO, ["tests"], "pytest_django_test.settings_postgres"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/projects/run", description=__doc__)
    parser.add_argument("suites", nargs="*", default=list(SUITES), help=", ".join(SUITES))
    parser.add_argument("-k", dest="chosen", help="only these tests (pytest's -k)")
    options = parser.parse_args()
    try:
        pythons = {side: environment(side) for side in SIDES}
    except subprocess.SubprocessError as error:
        print(f"the packages are not to be had: {error}", file=sys.stderr)
        return NO_PACKAGES
    lines = (FOLDER / "differences.tsv").read_text().splitlines()
    reasons = [line.split("\t") for line in lines if line[:1] not in "#"]
    status = 0
    with server.server() as postgres, server.valkey() as valkey:
        services = {**postgres, "REDIS": valkey["COMPAT_REDIS_URL"]}
        for name in options.suites:
            with concurrent.futures.ThreadPoolExecutor(len(SIDES)) as pool:
                sides = [
                    pool.submit(run, name, side, pythons[side], services, options.chosen) for side in SIDES
                ]
            status |= compare(name, *(side.result() for side in sides), reasons)
    return status


def compare(name: str, own: Outcomes, ours: Outcomes, reasons: list[list[str]]) -> int:
    """Prints what became of a suite; 1 if there is a difference that nobody has explained."""
    counts = [
        ", ".join(f"{list(side.values()).count(word)} {word}" for word in ("passed", "failed", "skipped"))
        for side in (own, ours)
    ]
    print(f"{name}: psycopg2 {counts[0]}; Puff {counts[1]}")
    status = 0
    for test in (test for test in {**own, **ours} if own.get(test) != ours.get(test)):
        why = [text for suite, known, text in reasons if suite == name and fnmatch.fnmatch(test, known)]
        outcomes = f"{own.get(test, 'missing')}, {ours.get(test, 'missing')}"
        print(f"  {test}: {outcomes}: {why[0] if why else 'NO REASON KNOWN'}")
        status |= not why
    if "passed" not in own.values():
        print(f"  nothing passed: see {log_of(name, SIDES[0])}")
        return 1
    return status


def log_of(name: str, side: str) -> Path:
    return environments.WORK / "results" / f"projects-{name}-{side}.log"


def run(name: str, side: str, python: Path, services: dict[str, str], chosen: str | None) -> Outcomes:
    """One run of one suite; its output is in `target/compat/results`."""
    suite, log = SUITES[name], log_of(name, side)
    log.parent.mkdir(parents=True, exist_ok=True)
    results = log.with_suffix(".xml")
    results.unlink(missing_ok=True)
    folder = environments.WORK / "projects" / f"{suite.project}-{side}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(environments.source(suite.project, suite.version, python), folder)
    pyproject = folder / "pyproject.toml"
    if not (pyproject.exists() and "[tool.pytest" in pyproject.read_text()):
        (folder / "pytest.ini").write_text("[pytest]\n")  # or it would find this repository's
    runtime = ["-m", "puff"] if side == "puff" else ["-m"]
    quiet = ["-q", "-rfE", "-o", "addopts=", "-p", "no:cacheprovider", "--timeout=120", "-W", "ignore"]
    quiet += ["--ds=projects_settings", f"--junitxml={results}", *suite.tests]
    drop = ("PUFF_", "PYTEST_", "DJANGO_", "PYTHON", "REDIS_URL", "DATABASE_URL", "PG")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(drop)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python), *runtime, "pytest", *quiet, *(["-k", chosen] if chosen else [])],
            cwd=folder,
            env={
                **kept,
                **{key: value for key, value in services.items() if key.startswith("PG")},
                "PATH": f"{server.binaries()}:{kept['PATH']}",
                "PYTHONPATH": str(folder / suite.path),
                "PROJECTS_SIDE": side,
                "PROJECTS_SETTINGS": suite.settings,
                # Numbers of databases, so that the two sides do not meet.
                "PROJECTS_REDIS": f"{services['REDIS']}/{SIDES.index(side)}",
                "PUFF_WATCHDOG": "0",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{name}, {side}: out of time", file=sys.stderr)
        finally:
            process.kill()
            process.wait()
    return outcomes(results)


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


def environment(side: str) -> Path:
    """The Python of an environment with the suites' packages and one side's driver.

    Puff's holds neither psycopg2 nor psycopg, so that nothing can fall back on them unseen.
    """
    driver = ["greenlet>=3.2", "tomli>=2; python_version < '3.11'"]
    if side == "psycopg2":
        driver = [f"psycopg2-binary=={environments.PSYCOPG2}"]
    with environments.prepared(f"projects-{side}", [*PACKAGES, *driver]) as python:
        paths = [FOLDER / "suite"]
        if side == "puff":
            paths.append(ROOT / "python")
        environments.join(python, "projects", paths)
    return python


if __name__ == "__main__":
    sys.exit(main())
