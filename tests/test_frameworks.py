"""A few of the live-server tests of `make frameworks`: Flask's and Werkzeug's, with Puff as the server."""

from __future__ import annotations

import subprocess

import pytest
from stack import ROOT, clean_environment

NO_FRAMEWORKS = 3


@pytest.mark.parametrize(
    ("suite", "chosen"),
    [
        ("werkzeug", "content_type or streaming_chunked or untrusted_host or 500"),
        ("flask", "listening or add_endpoint or clean_stop_live_server"),
    ],
)
def test_live_server_tests_pass_on_puff(suite: str, chosen: str) -> None:
    done = subprocess.run(
        [ROOT / "tests" / "frameworks" / "run", suite, "-k", chosen],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    if done.returncode == NO_FRAMEWORKS:
        pytest.skip(done.stderr.strip()[-200:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NO REASON" not in done.stdout
