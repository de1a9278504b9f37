"""A Django test runner that records one outcome per test."""

from __future__ import annotations

import unittest
from typing import Any

import record
from django.test.runner import DiscoverRunner


class Runner(DiscoverRunner):
    """Django's own, with our result class, and without the tests that an interrupted run has recorded."""

    def get_resultclass(self) -> type[unittest.TextTestResult]:
        return record.RecordingResult

    def load_tests_for_label(self, label: str, discover_kwargs: dict[str, Any]) -> unittest.TestSuite:
        return record.without_seen(super().load_tests_for_label(label, discover_kwargs))

    def run_suite(self, suite: unittest.TestSuite, **kwargs: Any) -> unittest.TestResult:
        result = super().run_suite(suite, **kwargs)
        record.recorder.ended()
        return result
