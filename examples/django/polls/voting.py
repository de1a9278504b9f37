"""To vote: the vote and the numbers in the choices change together, or not at all."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F

import puff

from .models import Choice, Question, Vote

pubsub = puff.global_pubsub()
log = logging.getLogger(__name__)

KEPT = 10
"""A channel keeps so many messages: who opens a page hears what has changed since it was made."""
KEPT_SECONDS = 60


class Closed(Exception):
    """One cannot vote on this question any more."""


def cast_vote(user: Any, choice: Choice) -> None:
    """Votes for `choice`. Who has voted on its question before changes that vote.

    Raises:
        Closed: the question takes no more votes.
    """
    with transaction.atomic():
        question = _lock(choice.question_id)
        if not question.is_open:
            raise Closed
        vote = Vote.objects.filter(question=question, user=user).first()
        if vote is None:
            Vote.objects.create(question=question, choice=choice, user=user)
        elif vote.choice_id == choice.pk:
            return
        else:
            _count(vote.choice_id, -1)
            vote.choice = choice
            vote.save(update_fields=("choice",))
        _count(choice.pk, 1)
        _announce(question)


def withdraw(vote: Vote) -> None:
    """Removes a vote, also from the number in its choice."""
    with transaction.atomic():
        question = _lock(vote.question_id)
        if Vote.objects.filter(pk=vote.pk).delete()[0]:
            _count(vote.choice_id, -1)
            _announce(question)


def channel(question_id: int) -> str:
    """Where the numbers of a question are published: `{"revision": 3, "votes": {"7": 12, "8": 0}}`."""
    return f"polls:{question_id}"


def _lock(question_id: int) -> Question:
    """Who votes on this question waits here for the one before; votes on others go on."""
    return Question.objects.select_for_update(of=("self",)).get(pk=question_id)


def _count(choice_id: int, change: int) -> None:
    Choice.objects.filter(pk=choice_id).update(votes=F("votes") + change)


def _announce(question: Question) -> None:
    """Tells the new numbers to those who look at the question, once they are true for everybody."""
    question.revision += 1
    question.save(update_fields=("revision",))
    votes = dict(question.choices.values_list("pk", "votes"))
    transaction.on_commit(partial(_publish, question.pk, {"revision": question.revision, "votes": votes}))


def _publish(question_id: int, numbers: dict[str, Any]) -> None:
    try:
        pubsub.publish_json(channel(question_id), numbers, keep=KEPT, keep_seconds=KEPT_SECONDS)
    except OSError as error:
        # Redis is away. The vote counts, and whoever loads the page sees it.
        log.warning("votes on question %s were not announced: %s", question_id, error)
