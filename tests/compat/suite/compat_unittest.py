"""Runs the DB-API 2.0 suite, recording each test. A module that cannot be imported counts as one error."""

from __future__ import annotations

import importlib
import traceback
import unittest

import record


def main() -> None:
    suite = unittest.TestSuite()
    try:
        module = importlib.import_module("compat_dbapi20")
        suite.addTest(unittest.defaultTestLoader.loadTestsFromModule(module))
    except Exception as error:
        traceback.print_exc()
        record.recorder.note("compat_dbapi20", "error", f"{type(error).__name__}: {error}")
    unittest.TextTestRunner(resultclass=record.RecordingResult, verbosity=2).run(record.without_seen(suite))
    record.recorder.ended()


if __name__ == "__main__":
    main()
