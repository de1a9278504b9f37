"""Runs the examples in the docstrings of every module of `puff`, as a greenlet, and prints what came of them.

A line for each docstring with examples, in JSON: its name, how many there are, how many went wrong, and what
doctest says of these.
"""

from __future__ import annotations

import doctest
import importlib
import io
import json
import pkgutil
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import django
from django.conf import settings

import puff

ELSEWHERE = {"puff.__main__", "puff._supervisor"}
"""What is a program by itself when it is imported."""


def main() -> None:
    """`puff run docstrings.main`."""
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        DATABASES={"default": {"ENGINE": "puff.contrib.django.postgresql", "NAME": "puff"}},
        CACHES={"default": {"BACKEND": "puff.contrib.django.cache.RedisCache"}},
    )
    django.setup()
    known = {"dataclass": dataclass, **polls()}
    finder = doctest.DocTestFinder()
    for each in pkgutil.walk_packages(puff.__path__, "puff."):
        if each.name not in ELSEWHERE:
            module = importlib.import_module(each.name)
            for test in finder.find(module, each.name, extraglobs=known):
                run(test)


def polls() -> dict[str, Any]:
    """The models that examples with Django speak of; there are no tables."""
    from django.db import models  # only now that there are settings

    class Question(models.Model):
        question_text = models.CharField(max_length=200)
        pub_date = models.DateTimeField()
        state = models.CharField(max_length=9, choices=[(s, s) for s in ("draft", "open", "closed")])

        class Meta:
            app_label = "auth"
            db_table = "polls_question"

    class Choice(models.Model):
        question = models.ForeignKey(Question, models.CASCADE, related_name="choices")
        choice_text = models.CharField(max_length=200)
        votes = models.IntegerField()

        class Meta:
            app_label = "auth"
            db_table = "polls_choice"

    return {"Question": Question, "Choice": Choice}


def run(test: doctest.DocTest) -> None:
    """One docstring's examples, from top to bottom."""
    if test.examples:
        said = io.StringIO()
        with redirect_stdout(said):
            result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
        print(json.dumps([test.name, result.attempted, result.failed, said.getvalue()]))
