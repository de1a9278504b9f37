"""A server spares Python's collector what is loaded, unless the program has its own idea."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from stack import Serve

APP = """
import gc, json
{own}

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()]).encode()]
"""


def asked(serve: Serve, folder: Path, own: str) -> tuple[bool, list[int], int]:
    (folder / "app.py").write_text(APP.format(own=own))
    with serve("--wsgi", "app:app", cwd=folder) as server:
        enabled, thresholds, frozen = server.get("/").json()
    return enabled, thresholds, frozen


def test_what_is_loaded_is_passed_over(serve: Serve, tmp_path: Path) -> None:
    enabled, thresholds, frozen = asked(serve, tmp_path, "")
    assert enabled
    assert thresholds == [5000, *gc.get_threshold()[1:]]
    assert frozen > 10_000


@pytest.mark.parametrize(
    ("own", "kept"),
    [("gc.set_threshold(900, 9, 8)", (True, [900, 9, 8])), ("gc.disable()", (False, [*gc.get_threshold()]))],
)
def test_a_program_with_its_own_idea_is_left_alone(
    serve: Serve, tmp_path: Path, own: str, kept: tuple[bool, list[int]]
) -> None:
    assert asked(serve, tmp_path, own) == (*kept, 0)
