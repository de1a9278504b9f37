"""Random queries of one world, answered by the engine and by graphql-core: `puff run oracle.compare.main`.

The schema is in the module of the world. What to do comes from the environment: ``ORACLE_CASES`` documents,
the first with the seed ``ORACLE_FIRST``; each that has variables is asked ``ORACLE_SETS`` times. What
graphql-core says is kept in the file ``ORACLE_EXPECTED``, for the other way to run the same world. The first
difference ends the run.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import puff
from oracle.answers import Answers
from oracle.expected import Expected, Question, all_expected
from oracle.world import Echo, Edge, World

MAX_ERRORS = 100
"""How many errors the engine lists."""


def main() -> int:
    """Compare the answers; the status is 1 if two of them differ."""
    module = importlib.import_module(os.environ["PUFF_GRAPHQL"].partition(":")[0])
    answers: Answers = module.answers
    postgres = puff.global_postgres()
    for sql, params in answers.world.tables(answers.prefix):
        postgres.execute(sql, params)
    oracle = _Oracle(answers)
    for question, expected in _asked(answers.world):
        problem = oracle.problem(question, expected)
        if problem:
            where = f"world {answers.world.seed}, query {question.seed}: {problem}"
            print(where, question.text, json.dumps(question.variables), sep="\n")
            return 1
    print(json.dumps(oracle.seen))
    return 0


def _asked(world: World) -> list[tuple[Question, Expected]]:
    """Return the questions and what graphql-core says to each."""
    kept, sdl = Path(os.environ["ORACLE_EXPECTED"]), puff.global_graphql().sdl()
    if not kept.exists():
        first, cases = int(os.environ["ORACLE_FIRST"]), int(os.environ["ORACLE_CASES"])
        asked = all_expected(world, sdl, range(first, first + cases), int(os.environ["ORACLE_SETS"]))
        kept.write_bytes(pickle.dumps((sdl, asked)))
        return asked
    before, asked = pickle.loads(kept.read_bytes())
    assert sdl == before, "both ways have the same schema"
    return list(asked)


class _Oracle:
    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.seen = dict.fromkeys(
            ("valid", "invalid", "refused", "failed", "mutations", "counted", "layers"), 0
        )
        members = _resolvers(answers.world)
        self._sql = {key for key, member in members.items() if member.is_sql}
        self._constant = {key for key, member in members.items() if member.form == "constant"}

    def problem(self, question: Question, expected: Expected) -> str | None:
        """Return what differs, if anything does."""
        self.answers.begin()
        before = _statements()
        ours = puff.global_graphql().query(question.text, question.variables)
        statements = _statements() - before
        if expected.invalid:
            self.seen["invalid"] += 1
            return None if "data" not in ours else f"answered although it is not valid: {expected.invalid}"
        if _differs_by_typename(ours):
            self.seen["invalid"] += 1
            return None
        self.seen["valid"] += 1
        if expected.refused:
            self.seen["refused"] += 1
            return None if "data" not in ours else f"not refused: {expected.refused}\n{_show(ours)}"
        if _ordered(ours.get("data", "nothing")) != _ordered(expected.data):
            return f"other data\nours: {_show(ours)}\ntheirs: {_show(expected.data)} {expected.errors}"
        paths = [error.get("path") for error in ours.get("errors", [])]
        theirs = [path for path, _ in expected.errors]
        if paths[:MAX_ERRORS] != theirs[:MAX_ERRORS]:
            return f"other errors\nours: {_show(ours.get('errors'))}\ntheirs: {expected.errors}"
        if self.answers.state != expected.state:
            return f"other effects\nours: {_show(ours)}: {self.answers.state}\ntheirs: {expected.state}"
        self.seen["mutations"] += question.text.startswith("mutation")
        if expected.errors:
            self.seen["failed"] += 1
            return None
        return self._miscount(statements, expected.layers)

    def _miscount(self, statements: int, layers: dict[str, int]) -> str | None:
        """Return which resolver was called more or less often than once per layer."""
        self.seen["counted"] += 1
        self.seen["layers"] += sum(layers.values())
        if self.answers.per_parent:
            return None
        called = {key: count for key, count in layers.items() if key not in self._constant}
        if called != dict(self.answers.calls):
            return f"resolvers were called {dict(self.answers.calls)}, their layers are {called}"
        sql = sum(count for key, count in layers.items() if key in self._sql)
        if statements != sql:
            return f"{statements} statements ran, {sql} were expected for {layers}"
        return None


def _resolvers(world: World) -> dict[str, Edge | Echo]:
    members = [member for known in world.types.values() for member in known.own]
    return {member.key: member for member in members if isinstance(member, (Edge, Echo))}


def _statements() -> int:
    """Return how often a connection was taken: the engine takes one for each statement."""
    return int(puff.global_postgres().status()["acquired"])


def _differs_by_typename(answer: dict[str, Any]) -> bool:
    """Whether two fields of one response name and different types were refused.

    graphql-core knows no type of `__typename` when it compares them, and lets such a query pass; by the
    specification (5.3.2, SameResponseShape) it is not valid.
    """
    errors = answer.get("errors", [])
    different = "must not select different types using the same name"
    return "data" not in answer and bool(errors) and all(different in each["message"] for each in errors)


def _ordered(value: Any) -> Any:
    """Return a value in which the order of fields counts."""
    if isinstance(value, dict):
        return [(name, _ordered(each)) for name, each in value.items()]
    if isinstance(value, list):
        return ["list", *map(_ordered, value)]
    return value


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:3000]
