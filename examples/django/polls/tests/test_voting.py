"""Votes and the numbers in the choices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

import puff
from polls import voting
from polls.models import Choice, Question, Vote


def numbers(question: Question) -> dict[str, int]:
    return dict(question.choices.values_list("choice_text", "votes"))


def test_a_vote_counts_once(question: Question, tea: Choice, ada: User) -> None:
    for _ in range(3):
        voting.cast_vote(ada, tea)
    assert numbers(question) == {"Tea": 1, "Coffee": 0}


def test_a_mind_may_change(question: Question, tea: Choice, coffee: Choice, ada: User) -> None:
    voting.cast_vote(ada, tea)
    voting.cast_vote(ada, coffee)
    assert numbers(question) == {"Tea": 0, "Coffee": 1}
    assert Vote.objects.get().choice == coffee


def test_a_closed_question_takes_no_votes(question: Question, tea: Choice, ada: User) -> None:
    question.closes_at = timezone.now() - timedelta(seconds=1)
    question.save()
    with pytest.raises(voting.Closed):
        voting.cast_vote(ada, tea)
    assert not Vote.objects.exists()


def test_a_vote_may_be_withdrawn(question: Question, tea: Choice, ada: User) -> None:
    voting.cast_vote(ada, tea)
    vote = Vote.objects.get()
    voting.withdraw(vote)
    voting.withdraw(vote)  # of two who remove it at a time, one does
    assert numbers(question) == {"Tea": 0, "Coffee": 0}


def test_votes_outlive_their_voters(question: Question, tea: Choice, ada: User) -> None:
    voting.cast_vote(ada, tea)
    ada.delete()
    assert numbers(question) == {"Tea": 1, "Coffee": 0}
    assert Vote.objects.get().user is None


@pytest.mark.django_db(transaction=True)
def test_many_vote_at_a_time(question: Question, tea: Choice, coffee: Choice) -> None:
    voters = [User.objects.create(username=f"voter{number}") for number in range(30)]

    def vote(number: int) -> None:
        try:
            voting.cast_vote(voters[number % 30], (tea, coffee)[number % 4 == 0])
        finally:
            connection.close()  # gives the session to the next

    puff.join_all([puff.spawn(vote, number) for number in range(60)])
    assert Vote.objects.count() == 30
    for choice in (tea, coffee):
        choice.refresh_from_db()
        assert choice.votes == Vote.objects.filter(choice=choice).count()
    question.refresh_from_db()
    assert sum(numbers(question).values()) == 30


def test_who_listens_hears_of_it(
    question: Question, tea: Choice, ada: User, django_capture_on_commit_callbacks: Any
) -> None:
    with puff.global_pubsub().connection() as listener:
        listener.subscribe(voting.channel(question.pk))
        with django_capture_on_commit_callbacks() as committed:
            voting.cast_vote(ada, tea)
        assert listener.receive(timeout=0.05) is None, "it is not true yet"
        for callback in committed:
            callback()
        news = listener.receive(timeout=10).json()
    assert news == {"revision": 1, "votes": {str(tea.pk): 1, str(tea.pk + 1): 0}}
