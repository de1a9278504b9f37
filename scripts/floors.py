"""Checks that the arrows between the crates only point down, and that siblings never meet.

Dependencies of tests are left out: a room's tests may start the private PostgreSQL of another room.
"""

from __future__ import annotations

import json
import subprocess
import sys

FLOORS = [
    {"puff-core"},
    {"puff-postgres", "puff-redis", "puff-graphql", "puff-embedded"},
    {"puff-python"},
    {"puff-rs"},
    {"puff-py"},
]
NO_PYTHON = FLOORS[1]
"""Crates that must not know PyO3. puff-core has it behind a feature, for the orphan rule's sake."""


def main() -> int:
    """Prints each arrow that points the wrong way; the exit status is 1 if there is one."""
    output = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    floor_of = {crate: number for number, crates in enumerate(FLOORS) for crate in crates}
    wrong = []
    for package in json.loads(output)["packages"]:
        name = package["name"]
        if name not in floor_of:
            if package["manifest_path"].rsplit("/", 3)[1] == "crates":
                wrong.append(f"{name} is on no floor: add it to {__file__}")
            continue
        needed = [each["name"] for each in package["dependencies"] if each["kind"] != "dev"]
        wrong += [
            f"{name} (floor {floor_of[name]}) needs {other} (floor {floor_of[other]})"
            for other in needed
            if other in floor_of and floor_of[other] >= floor_of[name]
        ]
        if name in NO_PYTHON and "pyo3" in needed:
            wrong.append(f"{name} needs pyo3, which only puff-python and what stands on it may use")
    for line in wrong:
        print(f"floors: {line}", file=sys.stderr)
    if not wrong:
        print(f"floors: {len(floor_of)} crates, all arrows point down")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
