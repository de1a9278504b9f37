"""Suites of other projects: which are to be run, how long they may take, and what has become of their tests.

`tests/frameworks`, `tests/peers` and `tests/projects` run some twice each, with what they are made for and
with ours, and explain in their `differences.tsv` what differs.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import environments

Outcomes = dict[str, str]
"""Of each test: "passed", "failed" or "skipped"."""
Why = Callable[[str, str], "str | None"]
"""The reason of a suite's test for being different, if it is known."""

NO_PACKAGES = 3
"""The status of a run whose packages are not to be had."""


def chosen(parser: argparse.ArgumentParser, suites: Mapping[str, object]) -> argparse.Namespace:
    """The command line; `suites` are those that it names, or all."""
    names = ", ".join(suites)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{names}; all by default")
    options = parser.parse_args()
    # Not by `choices`, which Python before 3.12 looks for in the list of none as well.
    for name in options.suites:
        if name not in suites:
            parser.error(f"there is no suite {name!r}; there are {names}")
    options.suites = options.suites or list(suites)
    return options


def log_of(*names: str) -> Path:
    """Where the output of a run goes."""
    folder = environments.WORK / "results"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{'-'.join(names)}.log"


def clean_environment(*more: str) -> dict[str, str]:
    """This process's variables without those that change what pytest or Puff does, and without `more`."""
    drop = ("PUFF_", "PYTEST_", "DJANGO_", "PYTHON", *more)
    return {name: value for name, value in os.environ.items() if not name.startswith(drop)}


def run(
    commands: Iterable[Sequence[str]], *, folder: Path, env: Mapping[str, str], log: Path, seconds: float
) -> None:
    """Runs commands at once, for so long at most; what they print is in `log`."""
    with log.open("wb") as output:
        processes = [
            subprocess.Popen(
                command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            for command in commands
        ]
        try:
            for process in processes:
                process.wait(seconds)
        except subprocess.TimeoutExpired:
            print(f"{log.stem}: out of time", file=sys.stderr)
        finally:
            for process in processes:
                process.kill()
                process.wait()


def junit(results: Path) -> Outcomes:
    """What pytest's `--junitxml` tells; nothing if it did not come to that."""
    if not results.exists():
        return {}
    found = {}
    for case in xml.etree.ElementTree.parse(results).iter("testcase"):
        kinds = {child.tag for child in case}
        failed = kinds & {"failure", "error"}
        outcome = "failed" if failed else "skipped" if "skipped" in kinds else "passed"
        found[f"{case.get('classname')}::{case.get('name')}"] = outcome
    return found


def reasons(table: Path) -> Why:
    """Reads lines of suite, pattern of tests, and reason."""
    lines = [line for line in table.read_text().splitlines() if line[:1] not in "#"]
    known = [line.split("\t") for line in lines]

    def why(suite: str, test: str) -> str | None:
        found = (text for name, tests, text in known if name == suite and fnmatch.fnmatch(test, tests))
        return next(found, None)

    return why


def lost(own: Outcomes, ours: Outcomes) -> tuple[list[str], list[str]]:
    """The tests that pass with what they are made for, and those of them that do not with ours."""
    passed = [test for test, outcome in own.items() if outcome == "passed"]
    return passed, [test for test in passed if ours.get(test) != "passed"]


def explain(suite: str, tests: Mapping[str, str], why: Why) -> int:
    """Prints tests with what is to be said of each, and the reason; 1 if that is not known of one."""
    status = 0
    for test, text in tests.items():
        reason = why(suite, test)
        print(f"  {test}: {text}{reason or 'NO REASON KNOWN'}")
        status |= reason is None
    return status
