"""Runs the tests of Django projects from PyPI on Puff's engine and cache inside the runtime, and on psycopg2.

Each suite runs twice, on private servers: in plain Python with Django's own backends, and by `puff pytest`
with ours. Tests whose outcomes differ are listed; the exit status is 1 if `differences.tsv` has no reason.
"""

from __future__ import annotations

import argparse
import concurrent.futures
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

SIDES = ("psycopg2", "puff")
PYTEST_DJANGO = "4.14.0"
PACKAGES = [
    *(f"Django=={environments.DJANGO}", f"pytest-django=={PYTEST_DJANGO}", "pytest>=9", "pytest-timeout"),
    *("pytest-xdist", "redis==8.1.0", "typing_extensions", "django-environ", "django-configurations"),
    *("diff-match-patch==20241021", "tablib[ods,xls,xlsx,yaml]>=3.7", "chardet==5.2.0", "pytz"),
]
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
    parser.add_argument("-k", dest="chosen", help="only these tests (pytest's -k)")
    options = suites.chosen(parser, SUITES)
    try:
        pythons = {side: environment(side) for side in SIDES}
    except subprocess.SubprocessError as error:
        print(f"the packages are not to be had: {error}", file=sys.stderr)
        return suites.NO_PACKAGES
    why = suites.reasons(FOLDER / "differences.tsv")
    status = 0
    with server.server() as postgres, server.valkey() as valkey:
        services = {**postgres, "REDIS": valkey["COMPAT_REDIS_URL"]}
        for name in options.suites:
            with concurrent.futures.ThreadPoolExecutor(len(SIDES)) as pool:
                sides = [
                    pool.submit(run, name, side, pythons[side], services, options.chosen) for side in SIDES
                ]
            status |= compare(name, *(side.result() for side in sides), why)
    return status


def compare(name: str, own: suites.Outcomes, ours: suites.Outcomes, why: suites.Why) -> int:
    """Prints what became of a suite; 1 if there is a difference that nobody has explained."""
    counts = [
        ", ".join(f"{list(side.values()).count(word)} {word}" for word in ("passed", "failed", "skipped"))
        for side in (own, ours)
    ]
    print(f"{name}: psycopg2 {counts[0]}; Puff {counts[1]}")
    different = [test for test in {**own, **ours} if own.get(test) != ours.get(test)]
    both = {test: f"{own.get(test, 'missing')}, {ours.get(test, 'missing')}: " for test in different}
    status = suites.explain(name, both, why)
    if "passed" not in own.values():
        print(f"  nothing passed: see {suites.log_of('projects', name, SIDES[0])}")
        return 1
    return status


def run(name: str, side: str, python: Path, services: dict[str, str], chosen: str | None) -> suites.Outcomes:
    """One run of one suite; its output is in `target/compat/results`."""
    suite, log = SUITES[name], suites.log_of("projects", name, side)
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
    kept = suites.clean_environment("REDIS_URL", "DATABASE_URL", "PG")
    suites.run(
        [[str(python), *runtime, "pytest", *quiet, *(["-k", chosen] if chosen else [])]],
        folder=folder,
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
        log=log,
        seconds=SECONDS,
    )
    return suites.junit(results)


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
