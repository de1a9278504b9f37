"""Writes one line per test to the file that $COMPAT_RECORD names.

    start<TAB>id                          a test begins
    outcome<TAB>id<TAB>seconds<TAB>why    it is over; the outcome is one of OUTCOMES
    #driver<TAB>text                      what `psycopg2` really was in this process
    #ended                                the process came to its own end

A run that is started again leaves out the tests that are already in the file: one that hangs or kills its
process costs no other test its result.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time
import unittest
from pathlib import Path
from types import TracebackType

OUTCOMES = ["passed", "skipped", "xfail", "failed", "error"]
"""From good to bad: of several outcomes of one test the last one here counts."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType]

# Tests start children with it; for the runtime it is a script that runs `puff python`.
sys.executable = os.environ.get("COMPAT_PYTHON") or sys.executable


class Recorder:
    """The file, and the test that runs."""

    def __init__(self) -> None:
        self.path = os.environ.get("COMPAT_RECORD")
        self.seconds = float(os.environ.get("COMPAT_TEST_SECONDS", "180"))
        self.pid = os.getpid()
        self.seen: set[str] = set()
        self.current: str | None = None
        self.outcome: str | None = None
        self.why = ""
        self.started = 0.0
        if self.path and os.path.exists(self.path):
            lines = Path(self.path).read_text(encoding="utf-8").splitlines()
            self.seen = {fields[1] for fields in (line.split("\t") for line in lines) if len(fields) > 1}

    def _write(self, *fields: str) -> None:
        if not self._is_ours():
            return
        assert self.path is not None
        with open(self.path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\t".join(fields) + "\n")

    def _is_ours(self) -> bool:
        """Children that a test forked are silent."""
        return self.path is not None and os.getpid() == self.pid

    def start(self, test: str) -> None:
        self.current, self.outcome, self.why, self.started = test, None, "", time.monotonic()
        self._write("start", test)
        if self._is_ours():
            faulthandler.dump_traceback_later(self.seconds, exit=True)

    def note(self, test: str, outcome: str, why: str = "") -> None:
        text = " ".join(why.split())[:300]
        if test != self.current:  # setUpClass, a module that cannot be imported...
            self._write(outcome, test, "0", text)
        elif self.outcome is None or OUTCOMES.index(outcome) > OUTCOMES.index(self.outcome):
            self.outcome, self.why = outcome, text

    def stop(self, test: str) -> None:
        faulthandler.cancel_dump_traceback_later()
        if self.current == test:
            seconds = time.monotonic() - self.started
            self._write(self.outcome or "error", test, f"{seconds:.3f}", self.why)
        self.current = None

    def ended(self) -> None:
        self._write("#driver", _driver())
        self._write("#ended")


def _driver() -> str:
    """What was loaded as the driver. One that maps `_psycopg` is the real psycopg2 in disguise."""
    module = sys.modules.get("psycopg2")
    text = f"{module.__name__} {getattr(module, '__version__', '?')}" if module else "psycopg2 not imported"
    maps = Path("/proc/self/maps").read_text()
    mapped = [f"{name} mapped: {'yes' if name in maps else 'no'}" for name in ("_psycopg", "libpq")]
    redis = sys.modules.get("django.core.cache.backends.redis")
    cache = [f"RedisCache of {redis.RedisCache.__module__}"] if redis else []
    return ", ".join([text, *mapped, *cache])


recorder = Recorder()


class RecordingResult(unittest.TextTestResult):
    """A result that writes down each outcome as well."""

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        recorder.start(test.id())

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        recorder.stop(test.id())

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        recorder.note(test.id(), "passed")

    def addFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:
        super().addFailure(test, err)
        recorder.note(test.id(), "failed", _reason(err))

    def addError(self, test: unittest.TestCase, err: ExcInfo) -> None:
        super().addError(test, err)
        recorder.note(test.id(), "error", _reason(err))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        recorder.note(test.id(), "skipped", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:
        super().addExpectedFailure(test, err)
        recorder.note(test.id(), "xfail")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        recorder.note(test.id(), "failed", "unexpected success")

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: ExcInfo | None) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            kind = "failed" if issubclass(err[0], test.failureException) else "error"
            recorder.note(test.id(), kind, _reason(err))


def _reason(err: ExcInfo) -> str:
    lines = str(err[1]).strip().splitlines() or [""]
    return f"{err[0].__name__}: {lines[0]}"


def without_seen(suite: unittest.TestSuite) -> unittest.TestSuite:
    """The suite less the tests that an earlier, interrupted process has recorded."""
    left = type(suite)() if isinstance(suite, unittest.TestSuite) else unittest.TestSuite()
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            left.addTest(without_seen(item))
        elif item.id() not in recorder.seen:
            left.addTest(item)
    return left
