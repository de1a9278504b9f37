from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache, caches

from polls.models import Choice, Question


@pytest.fixture(autouse=True)
def places_of_their_own(settings: Any, tmp_path: Any) -> Iterator[None]:
    """Tests leave the site's cache and files alone, and find none."""
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": "tests"}}
    settings.MEDIA_ROOT = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    yield
    caches["default"].clear()


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", "ada@example.com", "open sesame")


@pytest.fixture
def question(ada: User) -> Question:
    """Somebody's question, with two answers."""
    question = Question.objects.create(question_text="Tea or coffee?", author=ada)
    for text in ("Tea", "Coffee"):
        Choice.objects.create(question=question, choice_text=text)
    return question


@pytest.fixture
def tea(question: Question) -> Choice:
    return question.choices.get(choice_text="Tea")


@pytest.fixture
def coffee(question: Question) -> Choice:
    return question.choices.get(choice_text="Coffee")
