"""GraphQL beside the pages of the Django example: one port, one database, one login."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from browsing import visiting
from playwright.sync_api import Browser, expect
from polls_pages import photograph, sign_up
from polls_site import ADMIN
from stack import Server
from websockets.sync.client import connect

QUESTIONS = """query ($first: Int!) {
  questions(first: $first) { id question_text choices { id choice_text votes cast { voter voted_at } } }
}"""


class Visitor:
    """Somebody who is logged in on the pages, and asks GraphQL."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.session = requests.Session()

    def sign_up(self, name: str) -> None:
        form = {"username": name, "email": f"{name}@example.com"}
        self.send("/sign-up/", {**form, "password1": "f9-Kx_2p", "password2": "f9-Kx_2p"})

    def log_in(self, name: str, password: str) -> None:
        self.send("/accounts/login/", {"username": name, "password": password})

    def send(self, path: str, form: dict[str, Any]) -> None:
        """Fills in a form of the pages."""
        self.session.get(f"{self.url}/sign-up/", timeout=30)
        token = {"X-CSRFToken": self.session.cookies["csrftoken"]}
        answer = self.session.post(f"{self.url}{path}", form, headers=token, timeout=30)
        assert answer.status_code == 200, answer.text

    def ask(self, query: str, **variables: Any) -> Any:
        body = {"query": query, "variables": variables}
        return self.session.post(f"{self.url}/graphql", json=body, timeout=30).json()

    def data(self, query: str, **variables: Any) -> Any:
        answer = self.ask(query, **variables)
        assert "errors" not in answer, answer
        return answer["data"]


@pytest.fixture(scope="module")
def ada(polls_server: Server) -> Iterator[Visitor]:
    visitor = Visitor(polls_server)
    visitor.sign_up("graphql-ada")
    yield visitor
    visitor.session.close()


def test_a_hundred_questions_with_choices_and_votes_are_three_statements(polls_server: Server) -> None:
    body = json.dumps({"query": QUESTIONS, "variables": {"first": 100}}).encode()
    headers = {"Content-Type": "application/json", "Puff-Trace": "1"}
    answer = polls_server.request("POST", "/graphql", body, headers).json()
    questions = answer["data"]["questions"]
    assert len(questions) == 100
    choices = [choice for question in questions for choice in question["choices"]]
    assert len(choices) > 200
    assert sum(len(choice["cast"]) for choice in choices) > 500
    # The numbers in the choices and the votes themselves agree.
    assert all(choice["votes"] == len(choice["cast"]) for choice in choices)
    assert statements(answer["extensions"]["puff"]) == 3


def statements(trace: Any) -> int:
    """How many statements a trace has, wherever they are in it."""
    if isinstance(trace, dict):
        return ("sql" in trace) + sum(map(statements, trace.values()))
    return sum(map(statements, trace)) if isinstance(trace, list) else 0


def test_strangers_may_read_and_not_write(polls_server: Server) -> None:
    assert polls_server.graphql("{ me questions(first: 1) { id } }")["data"]["me"] is None
    for mutation in ('create_question(question_text: "?") { id }', "vote(choice_id: 1) { id }"):
        [error] = polls_server.graphql(f"mutation {{ {mutation} }}")["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
    [error] = polls_server.graphql("{ questions(first: 101) { id } }")["errors"]
    assert error["message"] == "first is 0 to 100"


def test_who_is_logged_in_asks_and_votes(ada: Visitor) -> None:
    assert ada.data("{ me }") == {"me": "graphql-ada"}
    asked = ada.data(
        """mutation { create_question(question_text: "To be?", choices: ["Yes", "No"]) {
            id question_text choices { id choice_text votes }
        } }"""
    )["create_question"]
    yes, no = asked["choices"]
    assert (yes["choice_text"], yes["votes"]) == ("Yes", 0)
    vote = "mutation ($choice: Int!) { vote(choice_id: $choice) { choices { votes } } }"
    assert ada.data(vote, choice=yes["id"])["vote"] == {"choices": [{"votes": 1}, {"votes": 0}]}
    assert ada.data(vote, choice=no["id"])["vote"] == {"choices": [{"votes": 0}, {"votes": 1}]}
    # Django's objects and its statements say the same.
    both = "{ question_objs(first: 3) { id question_text } questions(first: 3) { id question_text } }"
    found = ada.data(both)
    assert found["questions"] == found["question_objs"]
    assert found["questions"][0] == {"id": asked["id"], "question_text": "To be?"}
    page = ada.session.get(f"{ada.url}/polls/{asked['id']}/", timeout=30).text
    assert "Change my vote" in page


def test_what_fails_leaves_nothing(ada: Visitor) -> None:
    answer = ada.ask(
        "mutation ($text: String!) { create_question(question_text: $text, choices: [$text]) { id } }",
        text="x" * 150,
    )
    assert "errors" not in answer
    long = "x" * 201
    answer = ada.ask(
        'mutation ($text: String!) { create_question(question_text: "Left?", choices: ["a", $text]) { id } }',
        text=long,
    )
    assert answer["data"] is None
    found = ada.data('{ questions(search: "Left?") { id } }')
    assert found == {"questions": []}
    [error] = ada.ask("mutation { vote(choice_id: 2000000000) { id } }")["errors"]
    assert error["extensions"]["code"] == "NOT_FOUND"


def test_who_may_change_questions_in_the_admin_may_end_a_poll(polls_server: Server, ada: Visitor) -> None:
    [question] = ada.data(
        """mutation { create_question(question_text: "Ended?", choices: ["Yes"]) {
            choices { id question_id }
        } }"""
    )["create_question"]["choices"]
    close = "mutation ($id: Int!) { close_question(id: $id) { question_text } }"
    [error] = ada.ask(close, id=question["question_id"])["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
    admin = Visitor(polls_server)
    admin.log_in(*ADMIN)
    assert admin.data(close, id=question["question_id"])["close_question"] == {"question_text": "Ended?"}
    admin.session.close()
    [error] = ada.ask("mutation ($c: Int!) { vote(choice_id: $c) { id } }", c=question["id"])["errors"]
    assert error["message"] == "this poll is closed"


def test_votes_on_the_pages_are_heard_by_subscribers(polls_server: Server, ada: Visitor) -> None:
    asked = 'create_question(question_text: "Heard?", choices: ["Yes", "No"]) { id choices { id } }'
    question = ada.data(f"mutation {{ {asked} }}")["create_question"]
    ids = [choice["id"] for choice in question["choices"]]
    url = polls_server.url.replace("http", "ws") + "/subscriptions"
    with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(30))["type"] == "connection_ack"
        numbers = f"votes(question_id: {question['id']}) {{ revision choices {{ choice_id votes }} }}"
        payload = {"query": f"subscription {{ {numbers} }}"}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        # It has begun when the first event comes: others may vote until then.
        for revote in range(100):
            ada.send(f"/polls/{question['id']}/vote/", {"choice": ids[revote % len(ids)]})
            try:
                event = json.loads(socket.recv(0.3))
            except TimeoutError:
                continue
            break
        votes = {each["choice_id"]: each["votes"] for each in event["payload"]["data"]["votes"]["choices"]}
        assert sorted(votes) == ids
        assert sum(votes.values()) == 1


def test_the_playground_knows_who_is_logged_in(browser: Browser, polls_server: Server) -> None:
    with visiting(browser, polls_server.url, "/playground") as visit:
        sign_up(visit.page, polls_server, "playful")
        visit.open("{ me questions(first: 2) { question_text choices { choice_text votes } } }")
        answer = visit.run()
        assert answer["data"]["me"] == "playful"
        assert len(answer["data"]["questions"]) == 2
        expect(visit.result).to_contain_text("playful")
        docs = visit.show("Documentation Explorer")
        docs.get_by_role("link", name="Mutation").click()
        expect(docs).to_contain_text("Votes, or changes the vote that there is.")
        photograph(visit.page, "playground")
