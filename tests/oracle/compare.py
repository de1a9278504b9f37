"""Random queries of one world, answered by the engine and by graphql-core: `puff run oracle.compare.main`.

The schema is in the module of the world. What to do comes from the environment: ``ORACLE_CASES`` queries,
the first with the seed ``ORACLE_FIRST``. The first difference ends the run.
"""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

import graphql

import puff
from oracle.answers import Answers
from oracle.queries import Query, random_query
from oracle.reference import Reference
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
    first, cases = int(os.environ.get("ORACLE_FIRST", "0")), int(os.environ.get("ORACLE_CASES", "100"))
    oracle = _Oracle(answers)
    for seed in range(first, first + cases):
        query = random_query(oracle.reference.schema, answers.world.seed * 1_000_003 + seed)
        problem = oracle.problem(query)
        if problem:
            print(
                f"world {answers.world.seed}, query {seed}: {problem}",
                query.text,
                json.dumps(query.variables),
                sep="\n",
            )
            return 1
    print(json.dumps(oracle.seen))
    return 0


class _Oracle:
    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.reference = Reference(answers.world, puff.global_graphql().sdl())
        self.seen = {"valid": 0, "invalid": 0, "refused": 0, "failed": 0, "counted": 0, "layers": 0}
        members = _resolvers(answers.world)
        self._sql = {key for key, member in members.items() if member.is_sql}
        self._constant = {key for key, member in members.items() if member.form == "constant"}

    def problem(self, query: Query) -> str | None:
        """Return what differs, if anything does."""
        document = graphql.parse(query.text)
        invalid = graphql.validate(self.reference.schema, document)
        self.answers.calls.clear()
        before = _statements()
        ours = puff.global_graphql().query(query.text, query.variables)
        statements = _statements() - before
        if invalid:
            self.seen["invalid"] += 1
            return None if "data" not in ours else f"answered although it is not valid: {invalid[0].message}"
        if _differs_by_typename(ours):
            self.seen["invalid"] += 1
            return None
        self.seen["valid"] += 1
        theirs = self.reference.execute(document, query.variables)
        errors = theirs.errors or []
        if theirs.data is None and errors and not errors[0].path:
            self.seen["refused"] += 1
            return None if "data" not in ours else f"not refused: {errors[0].message}\n{_show(ours)}"
        if _ordered(ours.get("data", "nothing")) != _ordered(theirs.data):
            return f"other data\nours: {_show(ours)}\ntheirs: {_show(theirs.data)} {errors}"
        our_paths = [error.get("path") for error in ours.get("errors", [])]
        their_paths = [error.path for error in errors]
        if our_paths[:MAX_ERRORS] != their_paths[:MAX_ERRORS]:
            return f"other errors\nours: {_show(ours.get('errors'))}\ntheirs: {errors}"
        if errors:
            self.seen["failed"] += 1
            return None
        return self._miscount(statements)

    def _miscount(self, statements: int) -> str | None:
        """Return which resolver was called more or less often than once per layer."""
        self.seen["counted"] += 1
        layers = {key: len(chains) for key, chains in self.reference.layers.items()}
        self.seen["layers"] += sum(layers.values())
        if self.answers.per_parent:
            return None
        called = {key: count for key, count in layers.items() if key not in self._constant}
        if called != dict(self.answers.calls):
            return f"resolvers were called {dict(self.answers.calls)}, their layers are {called}"
        expected = sum(count for key, count in layers.items() if key in self._sql)
        if statements != expected:
            return f"{statements} statements ran, {expected} were expected for {layers}"
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
