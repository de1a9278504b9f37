"""Subscriptions over WebSockets: every rule of graphql-transport-ws, from outside."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from feed import APP, CURRENT, LEGACY, client, closed, opened, subscriptions
from frames import TEXT, frame, handshake, raw
from stack import Project, Serve, Server, serving
from support import eventually
from websockets.exceptions import InvalidStatus

WAITING = "subscription($name: String!) { waiting(name: $name) }"


@pytest.fixture(scope="module")
def folder(new_project: Project) -> Path:
    return new_project({"feed_app.py": APP})


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving("--graphql", "feed_app:Schema", "--graphql-init-timeout", "30s", cwd=folder) as server:
        yield server


@pytest.fixture(scope="module")
def impatient(folder: Path) -> Iterator[Server]:
    """A server that gives its clients two seconds to ask for a connection."""
    with serving("--graphql", "feed_app:Schema", "--graphql-init-timeout", "2s", cwd=folder) as server:
        yield server


# ------------------------------------------------------------------ the connection


def test_a_connection_is_acknowledged(server: Server) -> None:
    with opened(server) as found:
        assert found.socket.subprotocol == CURRENT
        found.send({"type": "connection_init"})
        assert found.receive() == {"type": "connection_ack"}
        found.socket.close(1000)


@pytest.mark.parametrize("payload", [{}, None, {"a": [1, {"b": None}]}])
def test_the_payload_of_a_connection_is_any_object(server: Server, payload: Any) -> None:
    with opened(server) as found:
        found.send({"type": "connection_init", "payload": payload})
        assert found.receive() == {"type": "connection_ack"}


def test_the_program_may_say_something_with_it(server: Server) -> None:
    with opened(server) as found:
        assert found.init(say="hi") == {"type": "connection_ack", "payload": {"hi": "there"}}


def test_the_program_may_refuse(server: Server) -> None:
    for say, reason in [("no", "Forbidden"), ("why", "you know why")]:
        with opened(server) as found:
            found.send({"type": "connection_init", "payload": {"say": say}})
            assert found.closed() == (4403, reason)


@pytest.mark.parametrize("say", ["boom", "odd"])
def test_a_program_that_fails_is_an_internal_error(server: Server, say: str) -> None:
    with opened(server) as found:
        found.send({"type": "connection_init", "payload": {"say": say}})
        assert found.closed() == (4500, "Internal server error")
    assert eventually(lambda: "connect failed" in server.log.read_text())


def test_a_client_that_asks_for_nothing_is_sent_away(impatient: Server) -> None:
    with opened(impatient) as found:
        assert found.closed() == (4408, "Connection initialisation timeout")


def test_a_client_that_has_asked_in_time_may_be_silent(impatient: Server) -> None:
    with client(impatient) as found:
        assert found.is_silent(2.5)
        assert found.all("{ hello }") == [{"data": {"hello": "hello world"}}, "complete"]
    with opened(impatient) as found:
        # The program takes longer than the client may.
        found.send({"type": "connection_init", "payload": {"say": "slow", "seconds": 2.5}})
        assert found.receive() == {"type": "connection_ack"}


def test_a_second_request_for_a_connection_is_one_too_many(server: Server) -> None:
    with client(server) as found:
        found.send({"type": "connection_init"})
        assert found.closed() == (4429, "Too many initialisation requests")
    with opened(server) as found:
        found.send({"type": "connection_init", "payload": {"say": "slow"}})
        found.send({"type": "connection_init"})
        assert found.closed() == (4429, "Too many initialisation requests")


def test_a_client_that_goes_while_the_program_thinks_ends_the_thought(server: Server) -> None:
    with opened(server) as found:
        found.send({"type": "connection_init", "payload": {"say": "slow", "thought": "lost"}})
        assert eventually(lambda: "lost begins" in closed(server))
        assert "lost" not in closed(server)
    assert eventually(lambda: closed(server).count("lost") == 1)


@pytest.mark.parametrize("begun", [False, True])
def test_operations_wait_for_the_acknowledgement(server: Server, begun: bool) -> None:
    with opened(server) as found:
        if begun:
            found.send({"type": "connection_init", "payload": {"say": "slow"}})
        found.subscribe("{ hello }")
        assert found.closed() == (4401, "Unauthorized")


def test_other_protocols_are_not_spoken(server: Server) -> None:
    for protocol in (None, LEGACY, "chat"):
        with opened(server, protocol) as found:
            assert found.socket.subprotocol is None
            assert found.closed() == (4406, "Subprotocol not acceptable")


def test_the_best_of_several_protocols_is_chosen(server: Server) -> None:
    with raw(server, "/subscriptions", f"Sec-WebSocket-Protocol: chat, {LEGACY}, {CURRENT}") as found:
        found.send(frame(TEXT, b'{"type": "connection_init"}'))
        assert found.receive() == (TEXT, b'{"type":"connection_ack"}')


def test_pages_of_other_origins_may_not_connect(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(server, origin="https://evil.example"):
        pass
    assert refused.value.response.status_code == 403
    with opened(server, origin=f"http://127.0.0.1:{server.port}") as found:
        assert found.init()["type"] == "connection_ack"


def test_requests_for_no_websocket_are_told_so(server: Server) -> None:
    assert server.get("/subscriptions").status == 426
    assert server.request("POST", "/subscriptions", b"{}").status == 426


# ------------------------------------------------------------------ messages


@pytest.mark.parametrize(
    "message",
    [
        "", "{", "null", "[]", "17", b"{}", b"\x00",
        {}, {"type": None}, {"type": "nonsense"}, {"type": "connection_ack"}, {"type": "next", "id": "1"},
        {"type": "start", "id": "1", "payload": {"query": "{ hello }"}}, {"type": "connection_terminate"},
        {"type": "ping", "payload": "a"}, {"type": "pong", "payload": [1]},
        {"type": "subscribe"}, {"type": "subscribe", "id": "1"},
        {"type": "subscribe", "id": "1", "payload": {}},
        {"type": "subscribe", "payload": {"query": "{ hello }"}},
        {"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}},
        {"type": "subscribe", "id": 1, "payload": {"query": "{ hello }"}},
        {"type": "subscribe", "id": "1", "payload": {"query": None}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": [1]}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "operationName": {}}},
        {"type": "complete"}, {"type": "complete", "id": None},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_message_closes(server: Server, message: Any) -> None:
    with client(server) as found:
        found.send(message)
        code, reason = found.closed()
        assert code == 4400
        assert reason


def test_pings_are_answered(server: Server) -> None:
    with opened(server) as found:
        found.send({"type": "ping"})
        assert found.receive() == {"type": "pong"}
        found.send({"type": "ping", "payload": {"at": 1}})
        assert found.receive() == {"type": "pong", "payload": {"at": 1}}
        found.send({"type": "pong"})
        found.send({"type": "pong", "payload": {"at": 1}})
        assert found.init()["type"] == "connection_ack"
        found.send({"type": "ping"})
        assert found.receive() == {"type": "pong"}


def test_keys_that_nobody_knows_are_passed_over(server: Server) -> None:
    with client(server) as found:
        found.send({"type": "subscribe", "id": "1", "more": 1, "payload": {"query": "{ hello }", "x": 1}})
        assert found.receive()["type"] == "next"


# ------------------------------------------------------------------ operations


def test_events_come_in_order_and_then_the_end(server: Server) -> None:
    with client(server) as found:
        answers = found.all("subscription { count(to: 200) }")
        assert answers == [*({"data": {"count": n}} for n in range(1, 201)), "complete"]
        # The id is free again.
        assert found.all("subscription C { n: count(to: 1) }") == [{"data": {"n": 1}}, "complete"]
        assert found.all("subscription { count(to: 0) }") == ["complete"]


@pytest.mark.parametrize("form", ["objects", "tuple", "sql"])
def test_an_event_is_what_a_resolver_may_return(server: Server, form: str) -> None:
    query = "subscription($form: String!) { items(form: $form) { n doubles { twice } } }"
    with client(server) as found:
        items = [{"n": 1, "doubles": [{"twice": 2}]}, {"n": 2, "doubles": [{"twice": 4}]}]
        assert found.all(query, form=form) == [{"data": {"items": items}}, "complete"]


def test_events_may_be_dicts_and_null(server: Server) -> None:
    with client(server) as found:
        answers = found.all('subscription { items(form: "dicts") { n text } }')
        assert answers == [{"data": {"items": [{"n": 3, "text": "c"}]}}, "complete"]
        answers = found.all("subscription { maybe { n } }")
        assert answers == [{"data": {"maybe": {"n": 1}}}, {"data": {"maybe": None}}, "complete"]


def test_queries_and_mutations_have_one_answer(server: Server) -> None:
    with client(server) as found:
        answers = found.all("query($n: String) { hello(name: $n) }", n="you")
        assert answers == [{"data": {"hello": "hello you"}}, "complete"]
        answers = found.all('mutation { publish(channel: "nobody", text: "x") }')
        assert answers == [{"data": {"publish": 0}}, "complete"]
        (answer, end) = found.all("{ failing }")
        assert end == "complete"
        assert answer["data"] is None
        assert answer["errors"][0]["path"] == ["failing"]


def test_the_operation_is_chosen_by_its_name(server: Server) -> None:
    query = "subscription A { count(to: 1) } query B { hello }"
    with client(server) as found:
        found.send({"id": "1", "type": "subscribe", "payload": {"query": query, "operationName": "B"}})
        assert found.receive()["payload"] == {"data": {"hello": "hello world"}}
        found.receive()
        (errors,) = found.all(query)
        assert errors[0]["extensions"]["code"] == "OPERATION_UNKNOWN"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { count(to: 1) other: count(to: 2) }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { __typename }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription($to: Int!) { count(to: $to) }", "BAD_USER_INPUT"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
def test_what_cannot_run_is_an_error_and_the_socket_stays(server: Server, query: str, code: str) -> None:
    with client(server) as found:
        (errors,) = found.all(query)
        assert errors[0]["extensions"]["code"] == code
        assert found.all("{ hello }")[-1] == "complete"


def test_a_generator_that_raises_ends_with_its_error(server: Server) -> None:
    with client(server) as found:
        first, second, errors = found.all("subscription { b: broken(after: 2) }")
        assert (first, second) == ({"data": {"b": 0}}, {"data": {"b": 1}})
        (error,) = errors
        assert error["message"] == "out of numbers"
        assert error["path"] == ["b"]
        assert closed(server).count("broken") == 1
        (errors,) = found.all("subscription { at_once }")
        assert errors[0]["message"] == "there is no such thing"
        (errors,) = found.all("subscription { none }")
        assert "Subscription.none returned int" in errors[0]["message"]
        assert found.is_silent()
    assert eventually(lambda: "ValueError: out of numbers" in server.log.read_text())


def test_an_event_that_is_wrong_is_an_error_of_its_own(server: Server) -> None:
    with client(server) as found:
        answers = found.all("subscription { wrong }")
        assert [answer["data"] for answer in answers[:-1]] == [{"wrong": 1}, None, None, {"wrong": 4}]
        assert "(..., sql, params)" in answers[2]["errors"][0]["message"]
        assert answers[-1] == "complete"


def test_operations_run_side_by_side(server: Server) -> None:
    with client(server) as found:
        found.subscribe(WAITING, "a", name="side")
        found.subscribe("query { slow(seconds: 2) }", "b")
        found.subscribe("subscription { count(to: 2) }", "c")
        kinds = [(message["id"], message["type"]) for message in (found.receive() for _ in range(6))]
        assert kinds.index(("c", "complete")) < kinds.index(("b", "next"))
        assert ("a", "next") in kinds
        assert kinds[-1] == ("b", "complete")


def test_two_operations_of_one_id_are_one_too_many(server: Server) -> None:
    with client(server) as found:
        found.subscribe(WAITING, "7", name="twice")
        found.receive()
        found.subscribe(WAITING, "7", name="twice")
        assert found.closed() == (4409, "Subscriber for 7 already exists")
    assert eventually(lambda: closed(server).count("twice") == 1)


def test_the_number_of_operations_is_bounded(serve: Serve, folder: Path) -> None:
    with (
        serve("--graphql", "feed_app:Schema", "--graphql-max-operations", "2", cwd=folder) as server,
        client(server) as found,
    ):
        for id in ("a", "b"):
            found.subscribe(WAITING, id, name=id)
            found.receive()
        (errors,) = found.all("{ hello }", "c")
        assert errors[0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        found.complete("a")
        assert eventually(lambda: closed(server) == ["a"])
        assert found.all("{ hello }", "c")[-1] == "complete"


def test_the_context_knows_the_connection(server: Server) -> None:
    params = {"user": "ann", "authorization": "Bearer secret"}
    with opened(server, additional_headers={"User-Agent": "test"}) as found:
        found.init(**params)
        (answer, _) = found.all("{ who }")
        expected = {"params": params, "state": {"user": "ann"}, "token": "secret", "agent": "test"}
        assert answer["data"]["who"] == expected
        for _ in range(2):
            # Each operation has a state of its own, which begins as the connection's.
            (answer, _) = found.all("subscription { who }")
            assert answer["data"]["who"]["state"] == {"user": "ann", "own": 1}
    assert server.graphql("{ who }")["data"]["who"]["params"] == {}


# ------------------------------------------------------------------ ends


def test_the_client_may_stop(server: Server) -> None:
    with client(server) as found:
        found.subscribe(WAITING, name="stopped")
        assert found.receive()["payload"] == {"data": {"waiting": 1}}
        found.complete()
        assert eventually(lambda: closed(server).count("stopped") == 1)
        assert found.is_silent(), "nothing is said of it any more"
        found.complete()
        found.complete("unknown")
        assert found.all("{ hello }", "1")[-1] == "complete"
    assert closed(server).count("stopped") == 1


def test_a_generator_is_closed_when_its_client_goes(server: Server) -> None:
    for name, end in [
        ("closes", lambda found: found.socket.close(1000)),
        ("cuts", lambda found: found.socket.socket.shutdown(socket.SHUT_RDWR)),
        ("errs", lambda found: found.send("nonsense")),
    ]:
        with client(server) as found:
            found.subscribe(WAITING, name=name)
            found.receive()
            end(found)
            assert eventually(lambda name=name: closed(server).count(name) == 1), name  # type: ignore[misc]
    assert eventually(lambda: subscriptions(server) == [])


def test_a_generator_may_wait_while_it_cleans_up(server: Server) -> None:
    with client(server) as found:
        found.subscribe('subscription { tidy(name: "tidy") }')
        found.receive()
        found.complete()
        assert eventually(lambda: closed(server).count("tidy") == 1)


def test_a_generator_that_goes_on_is_closed_at_its_next_event(server: Server) -> None:
    def told() -> list[str]:
        return [each for each in closed(server) if each.startswith("s ")]

    with client(server) as found:
        found.subscribe('subscription { stubborn(name: "s") }')
        found.receive()
        assert eventually(lambda: told() == ["s waits"])  # the client may have the event before
        found.complete()
        assert eventually(lambda: told()[:3] == ["s waits", "s GreenletExit", "s GeneratorExit"])
    assert eventually(lambda: subscriptions(server) == [])


def test_a_slow_client_makes_its_generator_wait(server: Server) -> None:
    query = 'subscription { flood(name: "slow", size: 10000) }'
    with raw(server, "/subscriptions", f"Sec-WebSocket-Protocol: {CURRENT}") as found:
        found.send(frame(TEXT, b'{"type": "connection_init"}'))
        found.receive()
        message = {"id": "1", "type": "subscribe", "payload": {"query": query}}
        found.send(frame(TEXT, json.dumps(message).encode()))
        # Others are served meanwhile.
        for _ in range(20):
            assert server.graphql("{ hello }")["data"] == {"hello": "hello world"}
            time.sleep(0.02)
        first = found.receive()[1]
        assert json.loads(first)["type"] == "next"
    assert eventually(lambda: any(end.startswith("slow ") for end in closed(server)))
    (end,) = (end for end in closed(server) if end.startswith("slow "))
    # The sockets' buffers hold some megabytes, and no more was made.
    assert int(end.split()[1]) < 3000


def test_a_client_that_floods_is_not_listened_to(server: Server) -> None:
    ping = frame(TEXT, json.dumps({"type": "ping", "payload": {"a": "x" * 10_000}}).encode())
    with raw(server, "/subscriptions", f"Sec-WebSocket-Protocol: {CURRENT}") as found:
        found.send(frame(TEXT, b'{"type": "connection_init"}'))
        found.connection.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 5_000:
                found.send(ping)
                sent += 1
        assert sent < 5_000


def test_the_servers_end_closes_generators(serve: Serve, folder: Path) -> None:
    with serve("--graphql", "feed_app:Schema", cwd=folder) as server, client(server) as found:
        found.subscribe('subscription { tidy(name: "end") }')
        found.receive()
        server.process.send_signal(signal.SIGTERM)
        assert found.closed() == (1001, "the server stops")
        assert server.process.wait(15) == 0


# ------------------------------------------------------------------ the old protocol


@pytest.fixture(scope="module")
def old(folder: Path) -> Iterator[Server]:
    options = ("--graphql-legacy-websocket", "--graphql-keep-alive", "100ms", "--graphql-init-timeout", "2s")
    with serving("--graphql", "feed_app:Schema", *options, cwd=folder) as server:
        yield server


def _said(found: Any) -> Any:
    while (message := found.receive()) == {"type": "ka"}:
        pass
    return message


def test_the_old_protocol_is_spoken_where_it_is_wanted(old: Server) -> None:
    with opened(old, LEGACY) as found:
        assert found.socket.subprotocol == LEGACY
        assert found.init() == {"type": "connection_ack"}
        assert found.receive() == {"type": "ka"}
        assert found.receive() == {"type": "ka"}
        found.subscribe("subscription { count(to: 1) }", type="start")
        assert _said(found) == {"id": "1", "type": "data", "payload": {"data": {"count": 1}}}
        assert _said(found) == {"id": "1", "type": "complete"}
        found.subscribe("{ nothing }", type="start")
        error = _said(found)
        assert error["type"] == "error"
        assert "nothing" in error["payload"]["message"]
        found.subscribe(WAITING, "2", "start", name="old")
        assert _said(found)["type"] == "data"
        found.send({"id": "2", "type": "stop"})
        assert _said(found) == {"id": "2", "type": "complete"}
        assert eventually(lambda: closed(old).count("old") == 1)
        found.send({"type": "connection_terminate"})
        assert found.closed()[0] == 1000


def test_the_old_protocol_has_the_same_gate(old: Server) -> None:
    with opened(old, LEGACY) as found:
        found.subscribe("{ hello }", type="start")
        assert found.closed() == (4401, "Unauthorized")
    with opened(old, LEGACY) as found:
        assert found.closed() == (4408, "Connection initialisation timeout")
    with opened(old, LEGACY) as found:
        assert found.init(say="no") == {"type": "connection_error", "payload": {"message": "Forbidden"}}
        assert found.closed()[0] == 4403
    with client(old) as found:
        assert found.all("{ hello }")[-1] == "complete"


# ------------------------------------------------------------------ beside a WSGI application


def test_subscriptions_beside_a_wsgi_application(serve: Serve, folder: Path) -> None:
    app = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'wsgi']\n"
    (folder / "pages.py").write_text(app)
    options = ("--graphql", "feed_app:Schema", "--wsgi", "pages:app")
    with serve(*options, cwd=folder) as server, client(server) as found:
        assert found.all("subscription { count(to: 1) }") == [{"data": {"count": 1}}, "complete"]
        assert server.get("/").text == "wsgi"


def test_a_broken_handshake_is_refused(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(handshake("/subscriptions", version="8"))
        assert connection.recv(100).startswith(b"HTTP/1.1 426 ")


def test_only_known_documents_where_no_others_may_run(serve: Serve, folder: Path) -> None:
    (folder / "known.json").write_text(json.dumps({"three": "subscription { count(to: 3) }"}))
    options = ("--graphql-documents", "known.json", "--graphql-documents-only", "true")
    with serve("--graphql", "feed_app:Schema", *options, cwd=folder) as server, client(server) as found:
        (errors,) = found.all("subscription { count(to: 1) }")
        assert errors[0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"
        found.send({"id": "1", "type": "subscribe", "payload": {"documentId": "three"}})
        assert [found.receive()["type"] for _ in range(4)] == ["next", "next", "next", "complete"]
        body = json.dumps({"documentId": "three"}).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        answer = server.request("POST", "/graphql", body, headers)
        assert answer.body.count(b"event: next") == 3
