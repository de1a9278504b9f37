"""gunicorn's raw requests: what is valid is answered, nothing invalid is accepted.

The corpus is in gunicorn's source archive, which is downloaded from PyPI when it is first needed. Cases that
change a setting of gunicorn's are left out. RFC 9112 wants a `Host` in requests of HTTP/1.1, and so do we;
gunicorn's valid requests get one where they have none.
"""

from __future__ import annotations

import concurrent.futures
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pytest
from stack import ROOT, Server

VERSION = "27.0.1"
CACHE = ROOT / "target" / "test-cache" / f"gunicorn-{VERSION}"

APP = """
import hashlib


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Read", hashlib.sha256(body).hexdigest())])
    return [b"answered"]
"""

REQUEST_LINE = re.compile(rb"^[A-Z$_-]+ [^\r\n]* HTTP/1\.1\r\n", re.MULTILINE)


@pytest.fixture(scope="module")
def corpus() -> Path:
    folder = CACHE / "requests"
    if folder.is_dir():
        return folder
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        wanted = ["--no-binary", ":all:", "--dest", scratch, f"gunicorn=={VERSION}"]
        done = subprocess.run([*command, *wanted], capture_output=True, text=True, timeout=120, check=False)
        archives = list(Path(scratch).glob("gunicorn-*.tar.gz"))
        if not archives:
            pytest.skip(f"gunicorn's source is not to be had: {done.stderr.strip()[-200:]}")
        found = Path(scratch) / "found"
        with tarfile.open(archives[0]) as archive:
            prefix = f"gunicorn-{VERSION}/tests/requests/"
            for member in archive.getmembers():
                if member.isfile() and member.name.startswith(prefix) and ".." not in member.name:
                    target = found / "requests" / member.name.removeprefix(prefix)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    content = archive.extractfile(member)
                    assert content is not None
                    target.write_bytes(content.read())
        # Another worker of the test run may have been sooner.
        if not folder.is_dir():
            shutil.copytree(found, CACHE, dirs_exist_ok=True)
    return folder


def cases(folder: Path) -> dict[str, bytes]:
    """The requests of a folder that need no setting."""
    return {
        path.stem: unescaped(path.read_bytes())
        for path in sorted(folder.glob("*.http"))
        if "cfg.set(" not in path.with_suffix(".py").read_text()
    }


def unescaped(text: bytes) -> bytes:
    """A file's line breaks mean nothing; what the request has of them is written as escapes."""
    meanings = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0"}
    return re.sub(
        rb"\\(?:x([0-9A-Fa-f]{2})|([rnt0]))",
        lambda match: bytes([int(match[1], 16)]) if match[1] else meanings[match[2]],
        text.replace(b"\n", b""),
    )


def with_hosts(data: bytes) -> bytes:
    """The requests with a `Host` each, if none of them has one."""
    if re.search(rb"^host:", data, re.IGNORECASE | re.MULTILINE):
        return data
    return REQUEST_LINE.sub(lambda match: match[0] + b"Host: corpus\r\n", data)


def statuses(server: Server, data: bytes, most: int) -> list[int]:
    """The statuses of the answers; waits for `most` of them, the end of the connection, or a moment."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(data)
        deadline = time.monotonic() + (10 if most < 100 else 1.5)
        while (left := deadline - time.monotonic()) > 0:
            line.settimeout(left)
            try:
                piece = line.recv(65536)
            except (TimeoutError, ConnectionResetError):
                break
            received += piece
            if received and deadline < time.monotonic() + 5:
                deadline += 5  # what comes next may take longer than nothing at all
            if not piece or len(re.findall(rb"HTTP/1\.[01] \d{3} ", received)) >= most:
                break
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


def test_what_is_valid_is_answered(server: Server, corpus: Path) -> None:
    requests = cases(corpus / "valid")
    assert len(requests) == 49
    refused = {}
    for name, data in requests.items():
        found = statuses(server, with_hosts(data), 1)
        if found[:1] != [200]:
            refused[name] = found
    # It announces a longer body than it has, so that nobody can answer it.
    assert refused == {"099": []}


def test_nothing_invalid_is_accepted(server: Server, corpus: Path) -> None:
    requests = cases(corpus / "invalid")
    assert len(requests) == 70

    def ask(case: tuple[str, bytes]) -> tuple[str, list[int]]:
        return case[0], statuses(server, case[1], 100)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = dict(pool.map(ask, requests.items()))
    # Where several requests come in one, a valid one before the invalid one may be answered.
    accepted = {name: found for name, found in answers.items() if found and all(each < 400 for each in found)}
    assert accepted == {}
