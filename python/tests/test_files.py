"""Files read and written by Tokio."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import puff

Run = Callable[..., Any]


@pytest.mark.parametrize("data", [b"", b"\x00\xff", b"x" * 3_000_000])
def test_round_trip(tmp_path: Path, run: Run, data: bytes) -> None:
    path = tmp_path / "file"
    run(puff.write_file_bytes, path, data)
    assert run(puff.read_file_bytes, str(path)) == data == path.read_bytes()


def test_errors_are_those_of_open(tmp_path: Path, run: Run) -> None:
    with pytest.raises(FileNotFoundError, match="No such file"):
        run(puff.read_file_bytes, tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        run(puff.read_file_bytes, tmp_path)
    with pytest.raises(FileNotFoundError):
        run(puff.write_file_bytes, tmp_path / "no" / "folder", b"")
