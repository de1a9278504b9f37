"""What the harness raises."""

from __future__ import annotations


class BenchError(Exception):
    """Something of the benchmark's surroundings is wrong; the message says what to do."""


class PeerError(BenchError):
    """One peer failed; the others go on without it."""
