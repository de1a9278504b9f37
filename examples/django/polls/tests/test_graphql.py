"""GraphQL, in the test's database and in its transaction."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User

from polls.models import Choice, Question, Vote
from puff.testing import GraphQLClient

QUESTIONS = "{ questions { question_text choices { choice_text votes cast { voter } } } }"
VOTE = "mutation ($choice: Int!) { vote(choice_id: $choice) { choices { choice_text votes } } }"


@pytest.fixture
def as_ada(graphql: GraphQLClient, ada: User) -> GraphQLClient:
    return graphql.with_context({"user": ada})


def test_questions_with_their_answers(graphql: GraphQLClient, question: Question) -> None:
    answers = [{"choice_text": text, "votes": 0, "cast": []} for text in ("Tea", "Coffee")]
    assert graphql.data(QUESTIONS) == {"questions": [{"question_text": "Tea or coffee?", "choices": answers}]}
    assert graphql.data('{ questions(search: "milk") { id } }') == {"questions": []}
    assert graphql.data("{ question_objs { id } }") == {"question_objs": [{"id": question.pk}]}


def test_a_vote(as_ada: GraphQLClient, tea: Choice, coffee: Choice) -> None:
    for choice in (tea, coffee, coffee):
        choices = as_ada.data(VOTE, {"choice": choice.pk})["vote"]["choices"]
    assert choices == [{"choice_text": "Tea", "votes": 0}, {"choice_text": "Coffee", "votes": 1}]
    assert Vote.objects.get().choice == coffee
    cast = as_ada.data(QUESTIONS)["questions"][0]["choices"][1]["cast"]
    assert cast == [{"voter": "ada"}]


def test_a_question_and_all_its_answers_or_nothing(as_ada: GraphQLClient) -> None:
    ask = """mutation ($text: String!, $choices: [String!]!) {
        create_question(question_text: $text, choices: $choices) { choices { choice_text } }
    }"""
    answer = as_ada.query(ask, {"text": "Too long?", "choices": ["No", "x" * 201]})
    assert answer.data is None
    assert not Question.objects.exists()
    made = as_ada.data(ask, {"text": " Tea? ", "choices": ["Yes"]})
    assert made == {"create_question": {"choices": [{"choice_text": "Yes"}]}}
    assert str(Question.objects.get()) == "Tea?"


def test_strangers_may_not_write(graphql: GraphQLClient, tea: Choice) -> None:
    assert graphql.query(VOTE, {"choice": tea.pk}).codes == ["UNAUTHENTICATED"]
    assert graphql.data("{ me }") == {"me": None}


def test_who_may_end_a_poll(as_ada: GraphQLClient, ada: User, question: Question) -> None:
    close = f"mutation {{ close_question(id: {question.pk}) {{ id }} }}"
    assert as_ada.query(close).codes == ["FORBIDDEN"]
    ada.user_permissions.add(Permission.objects.get(codename="change_question"))
    allowed = as_ada.with_context({"user": User.objects.get(pk=ada.pk)})
    assert allowed.data(close) == {"close_question": {"id": question.pk}}
    question.refresh_from_db()
    assert not question.is_open
