"""Runs Autobahn's cases 1 to 7 against a server: `python autobahn.py ws://...` prints each verdict as JSON.

A program of its own, because kosoku brings stand-ins for `pkg_resources` and other modules, which everything
else that runs in the same process, pytest to begin with, would get as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter

import pytest

LIMIT = 300.0


def verdicts(url: str) -> Counter[str]:
    """How often each verdict was given; none may be a failure."""
    command = [sys.executable, __file__, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT + 30)
    if done.returncode != 0:
        pytest.fail(done.stdout + done.stderr)
    return Counter(json.loads(done.stdout))


def main(url: str) -> int:
    """Prints the verdicts; where a case failed, what each such case found, and returns 1."""
    from kosoku import FailureError, run_fuzzingclient

    async def run() -> list[str]:
        cases = [f"{group}.*" for group in range(1, 8)]
        results = await asyncio.wait_for(run_fuzzingclient(url, cases, concurrency=4), LIMIT)
        return [each.behavior.value for each in results]

    try:
        print(json.dumps(asyncio.run(run())))
    except FailureError as error:
        for each in error.results:
            if not each.passed:
                print(each.case_id, each.behavior.value, each.behavior_close.value, each.result_close)
        return 1
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(status)  # the threads of its runtime may still use the interpreter that would end otherwise
