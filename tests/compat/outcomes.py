"""Outcomes of a run: from the raw record to a sorted list, its counts, and what differs from a baseline."""

from __future__ import annotations

import collections
import gzip
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "suite"))

from record import OUTCOMES

Results = dict[str, tuple[str, str]]
"""Outcome and reason by the test's name."""


def read_record(path: Path) -> Results:
    """What a run recorded; a test that began and did not end counts as an error."""
    tests: Results = {}
    begun: dict[str, None] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split("\t")
        if fields[0] == "start" and len(fields) > 1:
            begun[fields[1]] = None
        elif fields[0] in OUTCOMES and len(fields) == 4:
            outcome, test, _, why = fields
            begun.pop(test, None)
            known = tests.get(test)
            if known is None or OUTCOMES.index(outcome) > OUTCOMES.index(known[0]):
                tests[test] = (outcome, why)
    for test in begun:
        tests.setdefault(test, ("error", "hung or killed the process"))
    return tests


def has_ended(path: Path) -> bool:
    """Whether the process that wrote the record came to its own end."""
    return any(line.startswith("#ended") for line in path.read_text(encoding="utf-8").splitlines())


def driver_line(path: Path) -> str:
    """What the last process of the run says it had as its driver."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.split("\t", 1)[1] for line in reversed(lines) if line.startswith("#driver")), "unknown")


def load(path: Path) -> Results:
    """Reads a list: lines of outcome, test and reason."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return {row[1]: (row[0], row[2] if len(row) > 2 else "") for row in rows}


def save(tests: Results, path: Path) -> None:
    """Writes a list, sorted, the same bytes for the same outcomes."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        for test, (outcome, why) in sorted(tests.items()):
            file.write(f"{outcome}\t{test}\t{why}".rstrip("\t").encode() + b"\n")


def counts(tests: Results) -> str:
    """The line of totals."""
    number = collections.Counter(outcome for outcome, _ in tests.values())
    expected = f" (and {number['xfail']} expected failures)" if number["xfail"] else ""
    return (
        f"{len(tests)} tests, {number['passed']} passed, {number['failed']} failed, "
        f"{number['error']} errors, {number['skipped']} skipped{expected}"
    )


def of_labels(tests: Results, labels: list[str]) -> Results:
    """The tests that these labels choose: a package, a module, a class or a test."""
    return {
        test: row
        for test, row in tests.items()
        if any(test == label or test.startswith(f"{label}.") for label in labels)
    }


def read_reasons(path: Path) -> dict[str, str]:
    """Tests that are meant to differ, each with the reason."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return dict(line.split("\t", 1) for line in lines)


def compare(baseline: Results, candidate: Results, meant: dict[str, str]) -> int:
    """Prints what the baseline passes and the candidate does not; how many they are, less those meant to."""
    for test in sorted(meant.keys() & candidate.keys()):
        print(f"meant to differ\t{test}\t{meant[test]}")
    wanted = [test for test, (outcome, _) in baseline.items() if outcome == "passed" and test not in meant]
    missed = {test: candidate.get(test, ("not run", "")) for test in wanted}
    missed = {test: row for test, row in missed.items() if row[0] != "passed"}
    for test, (outcome, why) in sorted(missed.items()):
        print(f"{outcome}\t{test}\t{why}".rstrip("\t"))
    if missed:
        print()
        for name, number in collections.Counter(test.split(".")[0] for test in missed).most_common():
            print(f"{number:6}  {name}")
        print()
        for (outcome, why), number in collections.Counter(missed.values()).most_common(25):
            print(f"{number:6}  {outcome}: {why[:150]}")
        print()
    more = sum(
        outcome == "passed" and baseline.get(test, ("", ""))[0] != "passed"
        for test, (outcome, _) in candidate.items()
    )
    print(f"baseline:  {counts(baseline)}")
    print(f"candidate: {counts(candidate)}")
    print(f"The baseline passes {len(wanted)}; of these the candidate misses {len(missed)}.", end=" ")
    print(f"It passes {more} others.")
    return len(missed)
