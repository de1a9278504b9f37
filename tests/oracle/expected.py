"""What graphql-core says to the queries of a world."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import graphql
from graphql.validation.rules.variables_in_allowed_position import (
    VariablesInAllowedPositionRule,
    allowed_variable_usage,
)

from oracle.queries import Query, random_query
from oracle.reference import Reference
from oracle.world import World


class _VariableUsages(VariablesInAllowedPositionRule):
    """Which variables may stand where, as the specification has it (5.8.5).

    The field of a `@oneOf` is a place for what is not null, as any other: a variable that may be null but has
    a default is allowed there. graphql-core refuses it; and in a list of such inputs it lets one without a
    default pass.
    """

    def leave_operation_definition(self, operation: graphql.OperationDefinitionNode, *_: Any) -> None:
        schema = self.context.schema
        for usage in self.context.get_recursive_variable_usages(operation):
            definition = self.var_def_map.get(usage.node.name.value)
            declared = definition and graphql.type_from_ast(schema, definition.type)
            if declared is None or usage.type is None:
                continue
            expected = usage.type
            if _is_in_one_of(graphql.get_nullable_type(usage.parent_type), usage.type):
                expected = graphql.GraphQLNonNull(graphql.get_nullable_type(expected))
            if not allowed_variable_usage(
                schema, declared, definition.default_value, expected, usage.default_value
            ):
                message = f"${usage.node.name.value} of type {declared} is used as {expected}"
                self.report_error(graphql.GraphQLError(message, [definition, usage.node]))


def _is_in_one_of(parent: graphql.GraphQLInputType | None, own: graphql.GraphQLInputType) -> bool:
    """Whether a value is a field of a `@oneOf`, which may stand for a list of one, and no item of a list."""
    is_item = isinstance(parent, graphql.GraphQLList) and own == parent.of_type
    around = graphql.get_named_type(parent)
    return not is_item and isinstance(around, graphql.GraphQLInputObjectType) and around.is_one_of


RULES = [
    _VariableUsages if rule is VariablesInAllowedPositionRule else rule for rule in graphql.specified_rules
]


@dataclass
class Question:
    """A document with one set of variables; ``seed`` is the document's."""

    seed: int
    text: str
    variables: dict[str, Any]


@dataclass
class Expected:
    """The right answer.

    Attributes:
        invalid: Why the document is not valid, if it is not.
        refused: Why it is not executed, if it is not.
        data: The answer's data.
        errors: Paths and messages of the errors.
        layers: For each key of a resolver in how many layers it is asked.
        state: What a mutation has done in the end.
    """

    invalid: str = ""
    refused: str = ""
    data: Any = None
    errors: list[tuple[list[str | int] | None, str]] = field(default_factory=list)
    layers: dict[str, int] = field(default_factory=dict)
    state: int = 0


def all_expected(world: World, sdl: str, seeds: Iterable[int], sets: int) -> list[tuple[Question, Expected]]:
    """Return the questions that follow from the seeds, and the right answers."""
    reference = Reference(world, sdl)
    found: list[tuple[Question, Expected]] = []
    for seed in seeds:
        query = random_query(reference.schema, world.seed * 1_000_003 + seed, sets)
        questions = [Question(seed, query.text, variables) for variables in query.variables]
        found.extend(zip(questions, _answers(reference, query), strict=False))
    return found


def _answers(reference: Reference, query: Query) -> list[Expected]:
    document = graphql.parse(query.text)
    invalid = graphql.validate(reference.schema, document, RULES, max_errors=1)
    if invalid:
        # Once is enough.
        return [Expected(invalid=invalid[0].message)]
    return [_answer(reference, document, variables) for variables in query.variables]


def _answer(reference: Reference, document: graphql.DocumentNode, variables: dict[str, Any]) -> Expected:
    result = reference.execute(document, variables)
    errors = result.errors or []
    if result.data is None and errors and not errors[0].path:
        return Expected(refused=errors[0].message)
    return Expected(
        data=result.data,
        errors=[(error.path, error.message) for error in errors],
        layers={key: len(chains) for key, chains in reference.layers.items()},
        state=reference.state,
    )
