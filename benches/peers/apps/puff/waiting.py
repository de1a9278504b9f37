"""The waiting application with Puff's own waits: greenlets instead of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import puff

BODY = b"Hello, World!"
HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "13")]

postgres = puff.global_postgres()


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/pgsleep":
        postgres.query("SELECT pg_sleep(0.05)")
    else:
        puff.sleep(0.05)
    start_response("200 OK", HEADERS[:])
    return [BODY]
