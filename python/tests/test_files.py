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


def test_a_file_in_pieces(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "file"

    def body() -> tuple[Any, ...]:
        with puff.open_file(path, "wb") as file:
            assert file.write(b"hello ") == 6
            assert file.write(b"world") == 5
        with puff.open_file(path, "ab") as file:
            file.write(b"!" * 100_000)
        with puff.open_file(path, "r+b") as file:
            first, second = file.read(5), file.read(1)
            assert file.tell() == 6
            assert file.seek(-1, 2) == 100_010
            last = file.read()
            assert file.read() == b""
            file.seek(0)
            file.write(b"J")
        with puff.open_file(path) as file:
            sizes = [len(chunk) for chunk in file]
        return first, second, last, sizes

    assert run(body) == (b"hello", b" ", b"!", [65536, 34475])
    assert path.read_bytes().startswith(b"Jello world!")


def test_a_file_that_cannot_be_used(tmp_path: Path, run: Run) -> None:
    with pytest.raises(FileNotFoundError):
        run(puff.open_file, tmp_path / "missing")
    with pytest.raises(ValueError, match=r'the mode "r\+w" is none of'):
        run(puff.open_file, tmp_path / "x", "r+w")
    (tmp_path / "there").touch()
    with pytest.raises(FileExistsError):
        run(puff.open_file, tmp_path / "there", "xb")
    file = run(puff.open_file, tmp_path / "there")
    run(file.close)
    run(file.close)
    with pytest.raises(ValueError, match="the file is closed"):
        run(file.read)
