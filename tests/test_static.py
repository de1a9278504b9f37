"""Folders that the server serves by itself: files, conditions, ranges, what must not be served."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from stack import Answer, Run, Serve, Server
from support import eventually

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"app: {environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode()]
"""

LONG_AGO = 1_500_000_000
CSS = b"body { color: red }\n" * 100
BIG = bytes(range(256)) * 4096 * 3  # 3 MiB


def age(path: Path, seconds: float = LONG_AGO) -> None:
    os.utime(path, (seconds, seconds))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    (folder / "app.py").write_text(APP)
    files = {
        "public/site.css": CSS,
        "public/site.css.br": b"brotli",
        "public/site.css.gz": b"gzipped",
        "public/site.css.zst": b"zstandard",
        "public/only.css": b"plain",
        "public/app.5af2b8c1d0e3.js": b"hashed",
        "public/assets/index-DiwrgTda.js": b"vite",
        "public/photo.png": b"\x89PNG",
        "public/photo.png.gz": b"no",
        "public/big.bin": BIG,
        "public/empty.txt": b"",
        "public/ten.txt": b"0123456789",
        "public/d\xc3\xa9j\xc3\xa0 vu.txt".encode("latin-1").decode(): b"accents",
        "public/.env": b"SECRET",
        "public/.git/config": b"SECRET",
        "public/.well-known/acme": b"token",
        "public/docs/index.html": b"<h1>docs</h1>",
        "public/bare/file.txt": b"file",
        "site/robots.txt": b"robots",
        "site/index.html": b"front",
        "secret.txt": b"SECRET",
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        age(path)
    public = folder / "public"
    (public / "out.txt").symlink_to(folder / "secret.txt")
    (public / "up.txt").symlink_to("../secret.txt")
    (public / "outside").symlink_to(folder)
    (public / "inside.txt").symlink_to("ten.txt")
    os.mkfifo(public / "pipe")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    (folder / "puff.toml").write_text(
        'static_index = "index.html"\n'
        'static_immutable = "/static/assets"\n'
        '[static]\n"/static" = "public"\n"/" = "site"\n'
    )
    with serve("--wsgi", "app:app", cwd=folder) as server:
        yield server


def test_a_file(server: Server) -> None:
    answer = server.get("/static/site.css")
    assert (answer.status, answer.body) == (200, CSS)
    headers = answer.headers
    assert headers["content-type"] == "text/css; charset=utf-8"
    assert headers["content-length"] == str(len(CSS))
    assert headers["last-modified"] == formatdate(LONG_AGO, usegmt=True)
    assert headers["etag"].startswith('"')
    assert headers["cache-control"] == "public, max-age=60"
    assert headers["accept-ranges"] == "bytes"
    assert headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in headers
    head = server.request("HEAD", "/static/site.css")
    del headers["date"], head.headers["date"]
    assert (head.status, head.headers, head.body) == (200, headers, b"")


def test_names(server: Server) -> None:
    assert server.get("/static/d%C3%A9j%C3%A0%20vu.txt").text == "accents"
    assert server.get("/static/ten.txt?v=3").text == "0123456789"
    assert server.get("/static/empty.txt").body == b""
    assert server.get("/static/inside.txt").text == "0123456789"
    assert server.get("/static/.well-known/acme").text == "token"


def test_large_files_come_whole(server: Server) -> None:
    answer = server.get("/static/big.bin")
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(BIG).digest()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "vary" not in answer.headers


def test_what_is_not_there(server: Server) -> None:
    for path in ("/static/nothing.css", "/static/ten.txt/", "/static/ten.txt/x", "/static/", "/static/bare/"):
        answer = server.get(path)
        assert (answer.status, answer.text) == (404, "not found\n"), path
    assert server.get("/static/" + "x" * 300).status == 404
    # Only the path of the mount is the server's.
    assert server.get("/statics").text == "app: GET /statics"


HIDDEN = [
    "/static/.env",
    "/static/%2eenv",
    "/static/.git/config",
    "/static/../secret.txt",
    "/static/..%2fsecret.txt",
    "/static/%2e%2e/secret.txt",
    "/static/%2e%2e%2fsecret.txt",
    "/static/..%5csecret.txt",
    "/static/bare/../../secret.txt",
    "/static//etc/passwd",
    "/static/%2fetc/passwd",
    "/static/out.txt",
    "/static/up.txt",
    "/static/outside/secret.txt",
    "/static/pipe",
    "/static/ten.txt%00.css",
    "/static/ten%ff.txt",
]


@pytest.mark.parametrize("path", HIDDEN)
def test_what_must_not_be_served(server: Server, path: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        received = b"".join(iter(lambda: line.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 404 "), received
    assert b"SECRET" not in received


def test_index_files(server: Server) -> None:
    assert server.get("/static/docs/").text == "<h1>docs</h1>"
    assert server.get("/static/docs/").headers["content-type"] == "text/html; charset=utf-8"
    moved = server.get("/static/docs?a=1")
    assert (moved.status, moved.headers["location"]) == (301, "/static/docs/?a=1")


def test_a_mount_of_everything_leaves_the_rest_to_the_application(server: Server) -> None:
    assert server.get("/robots.txt").text == "robots"
    assert server.get("/").text == "front"
    assert server.get("/page").text == "app: GET /page"
    assert server.request("POST", "/robots.txt").text == "app: POST /robots.txt"
    assert server.get("/.env").text == "app: GET /.env"


def test_other_methods(server: Server) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = server.request(method, "/static/site.css")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_caching(server: Server) -> None:
    for_ever = "public, max-age=31536000, immutable"
    assert server.get("/static/app.5af2b8c1d0e3.js").headers["cache-control"] == for_ever
    assert server.get("/static/assets/index-DiwrgTda.js").headers["cache-control"] == for_ever
    assert "cache-control" not in server.get("/static/assets/nothing.js").headers


def test_compressed_beforehand(server: Server) -> None:
    def got(accept: str, path: str = "/static/site.css") -> tuple[bytes, str | None]:
        answer = server.get(path, **{"Accept-Encoding": accept})
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(("text/css", "image/png"))
        return answer.body, answer.headers.get("content-encoding")

    assert got("gzip, deflate, br, zstd") == (b"zstandard", "zstd")
    assert got("br;q=0.9, gzip;q=0.5") == (b"brotli", "br")
    assert got("gzip") == (b"gzipped", "gzip")
    assert got("gzip;q=0, identity") == (CSS, None)
    assert got("gzip", "/static/only.css") == (b"plain", None)
    assert got("gzip", "/static/photo.png") == (b"\x89PNG", None)
    tags = {
        server.get("/static/site.css", **{"Accept-Encoding": each}).headers["etag"]
        for each in ("", "br", "gzip")
    }
    assert len(tags) == 3


def conditional(server: Server, path: str = "/static/ten.txt", **headers: str) -> Answer:
    return server.get(path, **{name.replace("_", "-"): value for name, value in headers.items()})


def test_conditions(server: Server) -> None:
    whole = conditional(server)
    tag, date = whole.headers["etag"], whole.headers["last-modified"]
    before = formatdate(LONG_AGO - 1, usegmt=True)
    fresh = conditional(server, If_None_Match=f'"x", W/{tag}')
    assert (fresh.status, fresh.body) == (304, b"")
    for name in ("etag", "last-modified", "cache-control", "vary"):
        assert fresh.headers[name] == whole.headers[name]
    assert "content-type" not in fresh.headers
    for headers, status in (
        ({"If_None_Match": '"x"'}, 200),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": '"x"', "If_Modified_Since": date}, 200),
        ({"If_Modified_Since": date}, 304),
        ({"If_Modified_Since": before}, 200),
        ({"If_Match": tag}, 200),
        ({"If_Match": '"x"'}, 412),
        ({"If_Match": f"W/{tag}"}, 412),
        ({"If_Unmodified_Since": before}, 412),
        ({"If_Unmodified_Since": date}, 200),
        ({"If_None_Match": tag, "Range": "bytes=0-1"}, 304),
    ):
        assert conditional(server, **headers).status == status, headers


def test_ranges(server: Server) -> None:
    def part(value: str, path: str = "/static/ten.txt", **headers: str) -> tuple[int, str | None, bytes]:
        answer = conditional(server, path, Range=value, **headers)
        if answer.status != 416:
            assert answer.headers["content-length"] == str(len(answer.body))
        return answer.status, answer.headers.get("content-range"), answer.body

    assert part("bytes=2-4") == (206, "bytes 2-4/10", b"234")
    assert part("bytes=8-") == (206, "bytes 8-9/10", b"89")
    assert part("bytes=-3") == (206, "bytes 7-9/10", b"789")
    assert part("bytes=-30") == (206, "bytes 0-9/10", b"0123456789")
    assert part("bytes=0-3, 4-5") == (206, "bytes 0-5/10", b"012345")
    assert part("bytes=0-1, 5-6") == (200, None, b"0123456789")
    assert part("bytes=10-")[:2] == (416, "bytes */10")
    assert part("bytes=0-", "/static/empty.txt")[:2] == (416, "bytes */0")
    assert part("bytes=4-2") == (200, None, b"0123456789")
    assert part("lines=0-2") == (200, None, b"0123456789")
    middle = len(BIG) // 2
    assert part(f"bytes={middle}-", "/static/big.bin") == (
        206,
        f"bytes {middle}-{len(BIG) - 1}/{len(BIG)}",
        BIG[middle:],
    )
    whole = conditional(server)
    tag, date = whole.headers["etag"], whole.headers["last-modified"]
    assert part("bytes=0-0", If_Range=tag)[0] == 206
    assert part("bytes=0-0", If_Range=date)[0] == 206
    for other in ('"x"', f"W/{tag}", formatdate(LONG_AGO + 1, usegmt=True)):
        assert part("bytes=0-0", If_Range=other) == (200, None, b"0123456789")
    head = server.request("HEAD", "/static/ten.txt", headers={"Range": "bytes=0-1"})
    assert (head.status, head.headers["content-length"]) == (200, "10")


def test_curl_resumes_a_download(server: Server, folder: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    half = tmp_path / "big.bin"
    half.write_bytes(BIG[:1_000_000])
    command = ["curl", "-sS", "-f", "-C", "-", "-o", str(half), f"{server.url}/static/big.bin"]
    subprocess.run(command, check=True, timeout=60)
    assert half.read_bytes() == BIG


def test_files_may_change(server: Server, folder: Path) -> None:
    public = folder / "public"
    (public / "new.txt").write_text("one")
    age(public / "new.txt", time.time() + 60)
    first = server.get("/static/new.txt")
    # A tag that may come to stand for other bytes within the same tick of the clock is a weak one.
    assert (first.text, first.headers["etag"][:2]) == ("one", "W/")
    (public / "new.txt").write_text("other")
    second = server.get("/static/new.txt", **{"If-None-Match": first.headers["etag"]})
    assert (second.status, second.text) == (200, "other")
    (public / "new.txt").unlink()
    assert server.get("/static/new.txt").status == 404


def test_folders_may_be_replaced(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "app.py").write_text(APP)
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        (tmp_path / number / "a.txt").write_text(number)
    (tmp_path / "current").symlink_to("1")
    arguments = ("--static=/s=current", "--static-fallthrough=true", "--static-max-age=0s")
    with serve("--wsgi", "app:app", *arguments, cwd=tmp_path) as server:
        first = server.get("/s/a.txt")
        assert (first.text, first.headers["cache-control"]) == ("1", "no-cache")
        (tmp_path / "current").unlink()
        assert server.get("/s/a.txt").text == "app: GET /s/a.txt"
        (tmp_path / "current").symlink_to("2")
        assert server.get("/s/a.txt").text == "2"
        assert server.get("/s/b.txt").text == "app: GET /s/b.txt"
        assert server.request("POST", "/s/a.txt").text == "app: POST /s/a.txt"


def test_variables_and_several_mounts(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "app.py").write_text(APP)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f.txt").write_text(name)
    with serve("--wsgi", "app:app", cwd=tmp_path, env={"PUFF_STATIC": "/s=a, /s/inner=b"}) as server:
        assert server.get("/s/f.txt").text == "a"
        assert server.get("/s/inner/f.txt").text == "b"
    with serve("--wsgi", "app:app", "--static=/x=a", "--static=/y=b", cwd=tmp_path) as server:
        assert server.get("/x/f.txt").text == "a"
        assert server.get("/y/f.txt").text == "b"


def test_a_file_that_shrinks_cuts_the_connection(server: Server, folder: Path) -> None:
    path = folder / "public" / "shrinks.bin"
    path.write_bytes(b"x" * (64 << 20))
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(b"GET /static/shrinks.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        received = len(line.recv(1000))
        os.truncate(path, 1000)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # the rest is read at once
        try:
            while piece := line.recv(1 << 20):
                received += len(piece)
        except ConnectionResetError:
            pass
    assert received < 64 << 20
    path.unlink()


def test_a_file_that_must_not_be_read(
    tmp_path: Path, serve: Serve, stop_services: Callable[[Path], None]
) -> None:
    if os.getuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "closed.txt").write_text("closed")
    (tmp_path / "s" / "closed.txt").chmod(0)
    with serve("--wsgi", "app:app", "--static=/s=s", cwd=tmp_path) as server:
        assert server.get("/s/closed.txt").status == 403
        assert eventually(lambda: "closed.txt must not be read" in server.log.read_text())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--static=/s=nowhere"], "--static: cannot read the folder nowhere: No such file or directory"),
        (["--static=/s=app.py"], "--static: cannot read the folder app.py: Not a directory"),
        (["--static=s"], '--static: "s" is not a path and a folder such as /static=public'),
        (["--static=/s=here", "--static=/s/=here"], "--static: /s/ is there twice"),
        (["--static=/s=here", "--static-index=a/b"], '--static-index: "a/b" is not the name of a file'),
        (["--static=/s=here", "--static-immutable=x"], '--static-immutable: "x" is not a path such as'),
        (["--static=/s=here", "--static-max-age=soon"], '--static-max-age: "soon" is not a duration'),
        (["--compression=deflate"], '--compression: "deflate" is not one of off, auto, gzip, br, zstd'),
    ],
)
def test_wrong_settings(tmp_path: Path, puff: Run, arguments: list[str], message: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "here").mkdir()
    done = puff("runserver", "--wsgi", "app:app", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"puff: error: {message}")
    assert done.stderr.count("\n") == 1


def test_wrong_tables(tmp_path: Path, puff: Run) -> None:
    (tmp_path / "puff.toml").write_text('[static]\n"/s" = "a,b"\n')
    done = puff("runserver", "--wsgi", "app:app", cwd=tmp_path)
    assert done.returncode == 2
    assert 'static: "/s=a,b" must have no comma' in done.stderr
    (tmp_path / "puff.toml").write_text('[static]\n"/s" = ["a"]\n')
    done = puff("runserver", "--wsgi", "app:app", cwd=tmp_path)
    assert 'static."/s": "array" is not a text or a number' in done.stderr
