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

from django.conf import settings

import puff

ELSEWHERE = {"puff.__main__", "puff._supervisor"}
"""What is a program by itself when it is imported."""


def main() -> None:
    """`puff run docstrings.main`."""
    settings.configure(
        DATABASES={"default": {"ENGINE": "puff.contrib.django.postgresql", "NAME": "puff"}},
        CACHES={"default": {"BACKEND": "puff.contrib.django.cache.RedisCache"}},
    )
    finder = doctest.DocTestFinder()
    for each in pkgutil.walk_packages(puff.__path__, "puff."):
        if each.name not in ELSEWHERE:
            module = importlib.import_module(each.name)
            for test in finder.find(module, each.name, extraglobs={"dataclass": dataclass}):
                run(test)


def run(test: doctest.DocTest) -> None:
    """One docstring's examples, from top to bottom."""
    if test.examples:
        said = io.StringIO()
        with redirect_stdout(said):
            result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
        print(json.dumps([test.name, result.attempted, result.failed, said.getvalue()]))
