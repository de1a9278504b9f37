"""The admin."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from polls import voting
from polls.models import Choice, Question, Vote

LIST = "/admin/polls/question/"


def test_the_list_is_searched_and_filtered(admin_client: Client, question: Question) -> None:
    Question.objects.create(question_text="Cats or dogs?")
    for query, texts in {
        "": ["Cats or dogs?", "Tea or coffee?"],
        "q=tea": ["Tea or coffee?"],
        "q=ada": ["Tea or coffee?"],
        "open=no": [],
        "open=yes": ["Cats or dogs?", "Tea or coffee?"],
    }.items():
        found = admin_client.get(f"{LIST}?{query}").context["cl"].result_list
        assert [each.question_text for each in found] == texts, query


def test_as_many_statements_for_fifty_rows_as_for_one(admin_client: Client, question: Question) -> None:
    counts = []
    for rows in (1, 50):
        for number in range(rows - Question.objects.count()):
            Question.objects.create(question_text=f"{number}?", author=question.author)
        with CaptureQueriesContext(connection) as statements:
            assert len(admin_client.get(LIST).context["cl"].result_list) == rows
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_questions_are_closed(admin_client: Client, question: Question) -> None:
    admin_client.post(LIST, {"action": "close", "_selected_action": [question.pk]})
    question.refresh_from_db()
    assert not question.is_open


def test_a_vote_is_removed_with_its_number(admin_client: Client, tea: Choice, ada: User) -> None:
    voting.cast_vote(ada, tea)
    vote = Vote.objects.get()
    action = {"action": "delete_selected", "_selected_action": [vote.pk], "post": "yes"}
    admin_client.post("/admin/polls/vote/", action)
    tea.refresh_from_db()
    assert (tea.votes, Vote.objects.count()) == (0, 0)
    assert admin_client.get("/admin/polls/vote/add/").status_code == 403


def test_a_question_goes_with_all_that_is_said(admin_client: Client, tea: Choice, ada: User) -> None:
    voting.cast_vote(ada, tea)
    admin_client.post(f"{LIST}{tea.question_id}/delete/", {"post": "yes"})
    assert not Question.objects.exists()
    assert not Vote.objects.exists()
