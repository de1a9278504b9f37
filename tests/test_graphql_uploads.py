"""Files with GraphQL requests: the multipart request specification, by its clients and byte by byte."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gql
import node_clients
import pytest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.requests import RequestsHTTPTransport
from stack import Answer, Serve, Server, peak
from support import eventually, open_folder

SCHEMA = """
import hashlib
from dataclasses import dataclass

import puff
from puff import graphql

KEPT = []


@dataclass
class Seen:
    filename: str | None
    content_type: str | None
    size: int
    sha256: str
    lines: int


def seen(file):
    digest = hashlib.sha256()
    while block := file.read(100_000):
        digest.update(block)
    file.seek(0)
    assert file.seek(0, 2) == file.size == file.tell()
    file.seek(0)
    return Seen(file.filename, file.content_type, file.size, digest.hexdigest(), sum(1 for line in file))


@graphql.input
@dataclass
class Album:
    title: str
    cover: graphql.Upload | None = None
    photos: list[graphql.Upload] | None = None


@dataclass
class Query:
    @classmethod
    def kept(cls, context, /) -> list[str]:
        return [f"{file.read(5)!r} {file.closed}" for file in KEPT]

    @classmethod
    def drop(cls, context, /) -> int:
        KEPT.clear()
        return 0


@dataclass
class Mutation:
    @classmethod
    def upload(cls, context, /, file: graphql.Upload | None = None) -> Seen | None:
        return file and seen(file)

    @classmethod
    def uploads(cls, context, /, files: list[graphql.Upload]) -> list[Seen]:
        return [seen(file) for file in files]

    @classmethod
    def album(cls, context, /, album: Album) -> list[Seen]:
        return [seen(file) for file in [album.cover, *(album.photos or [])] if file]

    @classmethod
    def anything(cls, context, /, data: graphql.JSON) -> str:
        return repr(data)

    @classmethod
    def text(cls, context, /, text: str) -> str:
        return text

    @classmethod
    def echo(cls, context, /, file: graphql.Upload) -> graphql.JSON:
        return {"file": file}

    @classmethod
    def fail(cls, context, /, file: graphql.Upload) -> int:
        raise graphql.GraphQLError(f"{file.size} bytes are not wanted")

    @classmethod
    def hold(cls, context, /, file: graphql.Upload) -> int:
        puff.sleep(60)
        return file.size

    @classmethod
    def keep(cls, context, /, file: graphql.Upload) -> int:
        KEPT.append(file)
        return file.size


@dataclass
class Schema:
    query: Query
    mutation: Mutation
"""

SEEN = "filename content_type size sha256 lines"
UPLOAD = f"mutation($file: Upload) {{ upload(file: $file) {{ {SEEN} }} }}"
SMALL = b"a\nb\r\n--x\n\x00\xff"
LARGE = b"0123456789abcde\n" * 50_000
ASKED = {"GraphQL-Require-Preflight": "1"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "schema.py").write_text(SCHEMA)
        (folder / "puff.toml").write_text(
            "graphql = 'schema:Schema'\ngraphql_max_files = 3\n"
            "graphql_max_file = '2MiB'\ngraphql_max_batch = 3\n"
        )
        yield folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve(cwd=folder) as server:
        yield server


def described(data: bytes, filename: str | None, content_type: str | None) -> dict[str, Any]:
    return {
        "filename": filename,
        "content_type": content_type,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "lines": len(io.BytesIO(data).readlines()),
    }


def form(*parts: tuple[str, bytes | str], boundary: str = "xXx") -> bytes:
    """A body: of each part what follows `form-data; name=`, and what is in it."""
    body = b""
    for head, data in parts:
        data = data.encode() if isinstance(data, str) else data
        body += (
            f"--{boundary}\r\nContent-Disposition: form-data; name={head}\r\n\r\n".encode() + data + b"\r\n"
        )
    return body + f"--{boundary}--\r\n".encode()


def send(server: Server, body: bytes, headers: dict[str, str] = ASKED, boundary: str = "xXx") -> Answer:
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", **headers}
    return server.request("POST", "/graphql", body, headers)


def upload(server: Server, operations: Any, places: Any, *files: tuple[str, bytes], **more: Any) -> Answer:
    named = [(f'"{number}"; filename="{name}"', data) for number, (name, data) in enumerate(files)]
    parts = [('"operations"', json.dumps(operations)), ('"map"', json.dumps(places)), *named]
    return send(server, form(*parts), **more)


def open_unnamed(server: Server) -> int:
    """How many files without a name the server has open."""
    links = Path(f"/proc/{server.process.pid}/fd")
    count = 0
    for link in links.iterdir():
        try:
            count += "(deleted)" in os.readlink(link) and "/memfd" not in os.readlink(link)
        except OSError:
            continue
    return count


# ---------------------------------------------------------------------------- clients


@pytest.fixture
def own_event_loop() -> Iterator[None]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.mark.usefixtures("own_event_loop")
@pytest.mark.parametrize("transport", [RequestsHTTPTransport, AIOHTTPTransport])
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["memory", "disk"])
def test_gql_of_python(server: Server, transport: Any, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(data)
    client = gql.Client(transport=transport(url=f"{server.url}/graphql", headers=ASKED))
    query = gql.gql(f"mutation($files: [Upload!]!) {{ uploads(files: $files) {{ {SEEN} }} }}")
    files = [
        gql.FileVar(str(tmp_path / "a.bin"), content_type="application/x-a"),
        gql.FileVar(str(tmp_path / "a.bin"), filename="b", content_type="image/b"),
    ]
    query.variable_values = {"files": files}
    answer = client.execute(query, upload_files=True)
    assert answer["uploads"] == [
        described(data, "a.bin", "application/x-a"),
        described(data, "b", "image/b"),
    ]


def test_urql(server: Server) -> None:
    """urql sends files by itself, with the forms and the blobs of the language."""
    node = node_clients.node()
    command = [str(node), "upload.mjs", f"{server.url}/graphql", UPLOAD, "é ü.txt", "text/plain", "hello\n"]
    run = subprocess.run(
        command, cwd=node_clients.TARGET, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(run.stdout) == {"upload": described(b"hello\n", "é ü.txt", "text/plain")}


# ---------------------------------------------------------------------------- the specification


@pytest.mark.parametrize("data", [b"", SMALL, LARGE, b"x" * (256 << 10), b"x" * ((256 << 10) + 1)])
def test_a_file(server: Server, data: bytes) -> None:
    operations = {"query": UPLOAD, "variables": {"file": None}}
    answer = upload(server, operations, {"0": ["variables.file"]}, ("a.txt", data))
    assert answer.json() == {"data": {"upload": described(data, "a.txt", None)}}
    assert eventually(lambda: open_unnamed(server) == 0)


def test_a_list_of_files(server: Server) -> None:
    operations = {
        "query": f"mutation($files: [Upload!]!) {{ uploads(files: $files) {{ {SEEN} }} }}",
        "variables": {"files": [None, None]},
    }
    places = {"0": ["variables.files.0"], "1": ["variables.files.1"]}
    answer = upload(server, operations, places, ("a", SMALL), ("b", LARGE))
    assert answer.json()["data"]["uploads"] == [described(SMALL, "a", None), described(LARGE, "b", None)]


def test_a_batch(server: Server) -> None:
    operations = [
        {"query": UPLOAD, "variables": {"file": None}},
        {
            "query": f"mutation($files: [Upload!]!) {{ uploads(files: $files) {{ {SEEN} }} }}",
            "variables": {"files": [None, None]},
        },
    ]
    places = {"0": ["0.variables.file"], "1": ["1.variables.files.0"], "2": ["1.variables.files.1"]}
    answer = upload(server, operations, places, ("a", SMALL), ("b", LARGE), ("c", b""))
    first, second = answer.json()
    assert first == {"data": {"upload": described(SMALL, "a", None)}}
    assert second["data"]["uploads"] == [described(LARGE, "b", None), described(b"", "c", None)]


def test_one_file_in_several_places_and_in_input_objects(server: Server) -> None:
    operations = {
        "query": f"mutation($album: Album!) {{ album(album: $album) {{ {SEEN} }} }}",
        "variables": {"album": {"title": "t", "cover": None, "photos": [None]}},
    }
    places = {"0": ["variables.album.cover", "variables.album.photos.0"]}
    answer = upload(server, operations, places, ("a", LARGE))
    assert answer.json()["data"]["album"] == [described(LARGE, "a", None)] * 2


def test_no_file_is_null_and_what_the_map_does_not_name_is_ignored(server: Server) -> None:
    operations = {"query": UPLOAD, "variables": {"file": None}}
    assert upload(server, operations, {}, ("a", LARGE)).json() == {"data": {"upload": None}}
    answer = server.graphql(UPLOAD, file=None)
    assert answer == {"data": {"upload": None}}


@pytest.mark.parametrize(
    ("head", "filename"),
    [
        ('"0"; filename="C:\\\\Users\\\\me\\\\a.txt"', "a.txt"),
        ('"0"; filename="../../etc/passwd"', "passwd"),
        ('"0"', None),
    ],
)
def test_names_have_no_folders(server: Server, head: str, filename: str | None) -> None:
    operations = json.dumps({"query": UPLOAD, "variables": {"file": None}})
    body = form(('"operations"', operations), ('"map"', '{"0": ["variables.file"]}'), (head, SMALL))
    assert send(server, body).json()["data"]["upload"]["filename"] == filename


# ---------------------------------------------------------------------------- what is refused

OPERATIONS = ('"operations"', json.dumps({"query": UPLOAD, "variables": {"file": None, "n": 1}}))
MAP = ('"map"', '{"0": ["variables.file"]}')
FILE = ('"0"; filename="a"', SMALL)


@pytest.mark.parametrize(
    ("parts", "status", "code", "words"),
    [
        ([], 400, "BAD_REQUEST", "operations"),
        ([OPERATIONS], 400, "BAD_REQUEST", "`map`"),
        ([MAP, OPERATIONS, FILE], 400, "BAD_REQUEST", "`operations`"),
        ([OPERATIONS, FILE, MAP], 400, "BAD_REQUEST", "`map`"),
        ([OPERATIONS, MAP], 400, "BAD_REQUEST", "no file `0`"),
        ([('"operations"', "{"), MAP, FILE], 400, "BAD_REQUEST", "JSON"),
        ([('"operations"', "[]"), MAP, FILE], 400, "BAD_REQUEST", "no request"),
        ([OPERATIONS, ('"map"', "{"), FILE], 400, "BAD_REQUEST", "JSON"),
        ([OPERATIONS, ('"map"', "[]"), FILE], 400, "BAD_REQUEST", "an object"),
        ([OPERATIONS, ('"map"', '{"0": "variables.file"}'), FILE], 400, "BAD_REQUEST", "a list of places"),
        ([OPERATIONS, ('"map"', '{"0": [1]}'), FILE], 400, "BAD_REQUEST", "a list of places"),
        (
            [OPERATIONS, ('"map"', '{"0": ["variables.n"]}'), FILE],
            400,
            "BAD_REQUEST",
            "no null at `variables.n`",
        ),
        ([OPERATIONS, ('"map"', '{"0": ["variables.x"]}'), FILE], 400, "BAD_REQUEST", "no null at"),
        ([OPERATIONS, ('"map"', '{"0": ["query"]}'), FILE], 400, "BAD_REQUEST", "no null at"),
        ([OPERATIONS, ('"map"', '{"0": ["0.variables.file"]}'), FILE], 400, "BAD_REQUEST", "no null at"),
        ([OPERATIONS, ('"map"', '{"0":[],"1":[],"2":[],"3":[]}'), FILE], 413, "LIMIT_EXCEEDED", "4 files; 3"),
        ([OPERATIONS, MAP, ('"0"; filename="big"', b"x" * (2 << 20) + b"x")], 413, "LIMIT_EXCEEDED", "`big`"),
        ([('"operations"', b" " * (1 << 20) + b"x"), MAP, FILE], 413, "BAD_REQUEST", "too large"),
    ],
)
def test_forms_that_are_not_right(server: Server, parts: Any, status: int, code: str, words: str) -> None:
    answer = send(server, form(*parts))
    (error,) = answer.json()["errors"]
    assert (answer.status, error["extensions"]["code"]) == (status, code)
    assert words in error["message"]
    assert eventually(lambda: open_unnamed(server) == 0)


def test_a_form_that_announces_too_much_is_not_read(server: Server) -> None:
    head = (
        "POST /graphql HTTP/1.1\r\nHost: x\r\nGraphQL-Require-Preflight: 1\r\n"
        f"Content-Type: multipart/form-data; boundary=xXx\r\nContent-Length: {9 << 20}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_form_that_breaks_off(server: Server) -> None:
    body = form(OPERATIONS, MAP, ('"0"; filename="a"', LARGE))
    for cut in (10, 150, len(body) - 30, len(body) - 8):
        answer = send(server, body[:cut])
        assert answer.status == 400, cut
    for wrong in (
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=other",
    ):
        assert send(server, body, {"Content-Type": wrong, **ASKED}).status == 400
    assert eventually(lambda: open_unnamed(server) == 0)


def test_values_that_are_no_files(server: Server) -> None:
    for value in ("a.txt", 1, {}, [None, None]):
        answer = server.graphql(UPLOAD, file=value)
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert "expected a file" in error["message"]
    text = {"query": "mutation($file: String!) { text(text: $file) }", "variables": {"file": None}}
    answer = upload(server, text, {"0": ["variables.file"]}, ("a", SMALL)).json()
    assert answer["errors"][0]["message"] == "variable `$file`: a file is not a string (String)"
    data = {
        "query": "mutation($data: JSON!) { anything(data: $data) }",
        "variables": {"data": {"file": None}},
    }
    answer = upload(server, data, {"0": ["variables.data.file"]}, ("a", SMALL)).json()
    assert answer == {"data": {"anything": "{'file': <Upload 'a' of 11 bytes>}"}}
    echo = {"query": "mutation($file: Upload!) { echo(file: $file) }", "variables": {"file": None}}
    answer = upload(server, echo, {"0": ["variables.file"]}, ("a", SMALL)).json()
    assert answer["errors"][0]["path"] == ["echo"]


def test_other_sites(server: Server) -> None:
    """A form of another site's page could send this with the user's cookies."""
    token = {"Authorization": "Bearer s3same", "Sec-Fetch-Site": "cross-site"}
    operations = {"query": UPLOAD, "variables": {"file": None}}
    places = {"0": ["variables.file"]}
    foreign: list[dict[str, str]] = [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "null"},
        # A browser adds these by itself, to forms of other sites too.
        {"Authorization": "Basic dTpw", "Sec-Fetch-Site": "cross-site"},
        {"Authorization": "Negotiate YII="},
    ]
    for headers in foreign:
        answer = upload(server, operations, places, ("a", SMALL), headers=headers)
        assert (answer.status, answer.json()["errors"][0]["extensions"]["code"]) == (
            403,
            "CROSS_SITE_REQUEST",
        )
    for headers in (ASKED, {"Apollo-Require-Preflight": "true"}, {"Sec-Fetch-Site": "same-origin"}, token):
        answer = upload(server, operations, places, ("a", SMALL), headers=headers)
        assert answer.json()["data"]["upload"]["size"] == len(SMALL)


def test_files_are_off_by_default(folder: Path, serve: Serve) -> None:
    with serve("--graphql-max-files", "0", cwd=folder) as server:
        operations = {"query": UPLOAD, "variables": {"file": None}}
        assert upload(server, operations, {"0": ["variables.file"]}, ("a", SMALL)).status == 415
    with serve(
        "--graphql-max-files", "1", "--graphql-max-batch", "0", "--graphql-csrf", "false", cwd=folder
    ) as server:
        operations = {"query": UPLOAD, "variables": {"file": None}}
        answer = upload(server, operations, {"0": ["variables.file"]}, ("a", SMALL), headers={})
        assert answer.json()["data"]["upload"]["size"] == len(SMALL)
        assert upload(server, [operations], {"0": ["0.variables.file"]}, ("a", SMALL)).status == 400


# ---------------------------------------------------------------------------- ends


def test_files_go_with_the_request(server: Server) -> None:
    fail = {"query": "mutation($file: Upload!) { fail(file: $file) }", "variables": {"file": None}}
    answer = upload(server, fail, {"0": ["variables.file"]}, ("a", LARGE)).json()
    assert answer["errors"][0]["message"] == f"{len(LARGE)} bytes are not wanted"
    assert eventually(lambda: open_unnamed(server) == 0)
    # What is not a document at all.
    answer = upload(
        server, {"query": "{", "variables": {"f": None}}, {"0": ["variables.f"]}, ("a", LARGE)
    ).json()
    assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"
    assert eventually(lambda: open_unnamed(server) == 0)


def test_a_large_file_that_nobody_names_is_passed_over(server: Server) -> None:
    operations = {"query": UPLOAD, "variables": {"file": None}}
    answer = upload(server, operations, {"1": ["variables.file"]}, ("other", LARGE * 8), ("mine", SMALL))
    assert answer.json()["data"]["upload"]["size"] == len(SMALL)


def test_a_client_that_goes_in_the_middle(server: Server) -> None:
    body = form(OPERATIONS, MAP, ('"0"; filename="a"', LARGE))
    head = (
        "POST /graphql HTTP/1.1\r\nHost: x\r\nGraphQL-Require-Preflight: 1\r\n"
        f"Content-Type: multipart/form-data; boundary=xXx\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + body[:-1000])
        assert eventually(lambda: open_unnamed(server) == 1)
    assert eventually(lambda: open_unnamed(server) == 0)


def test_a_file_that_is_kept_can_be_read_later(server: Server) -> None:
    keep = {"query": "mutation($file: Upload!) { keep(file: $file) }", "variables": {"file": None}}
    upload(server, keep, {"0": ["variables.file"]}, ("a", LARGE))
    # Python's stays; that of Rust goes with the request.
    assert eventually(lambda: open_unnamed(server) == 1)
    assert server.graphql("{ kept }")["data"]["kept"] == ["b'01234' False"]
    server.graphql("{ drop }")
    assert eventually(lambda: open_unnamed(server) == 0)


def test_a_large_file_stays_out_of_memory(folder: Path, serve: Serve) -> None:
    """The parts of a body go to disk as they come."""
    with serve("--graphql-max-file", "100MiB", cwd=folder) as server:
        operations = {"query": UPLOAD, "variables": {"file": None}}
        places = {"0": ["variables.file"]}
        upload(server, operations, places, ("a", LARGE))
        before = peak(server)
        data = b"0123456789abcde\n" * (5 << 20)
        answer = upload(server, operations, places, ("a", data)).json()
        assert answer["data"]["upload"]["size"] == 80 << 20
        assert answer["data"]["upload"]["sha256"] == hashlib.sha256(data).hexdigest()
        assert peak(server) - before < 24 << 20
