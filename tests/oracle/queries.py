"""Random documents for a schema, with variables. Most are valid; graphql-core says which."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import graphql
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
)

ALIASES = ["a", "b", "c"]
MAX_DEPTH = 5


@dataclass
class Query:
    """A document and several sets of variables, with each of which it is asked."""

    text: str
    variables: list[dict[str, Any]]


@dataclass
class _Variable:
    name: str
    type: GraphQLInputType
    default: str | None


@dataclass
class Writer:
    """Writes one document."""

    schema: GraphQLSchema
    random: random.Random
    fragments: dict[str, str] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    variables: list[_Variable] = field(default_factory=list)
    aliases: dict[tuple[str, str], int] = field(default_factory=dict)
    fields: int = 0

    def write(self, sets: int) -> Query:
        """Return a document: a query most of the time, else a mutation."""
        kind = "mutation" if self.schema.mutation_type and self.random.random() < 0.25 else "query"
        root = self.schema.mutation_type if kind == "mutation" else self.schema.query_type
        assert root is not None
        body = self._set(root, 0)
        declared = ""
        if self.variables:
            each = (f"${v.name}: {v.type}" + (f" = {v.default}" if v.default else "") for v in self.variables)
            declared = f"({', '.join(each)})"
        parts = [f"{kind}{declared} {body}"]
        for name, text in self.fragments.items():
            parts.append(f"fragment {name} on {self.conditions[name]} {text}")
        return Query("\n".join(parts), [self._given() for _ in range(sets if self.variables else 1)])

    def _given(self) -> dict[str, Any]:
        """Return values of the variables; some are left out."""
        pick = self.random

        def is_given(variable: _Variable) -> bool:
            is_needed = isinstance(variable.type, GraphQLNonNull) and not variable.default
            return pick.random() >= 0.005 if is_needed else pick.random() < 0.75

        return {each.name: self._json(each.type) for each in self.variables if is_given(each)}

    # ---- selections

    def _set(self, parent: GraphQLNamedType, depth: int, nesting: int = 0) -> str:
        pick = self.random
        count = pick.randint(1, 4 if depth < 3 else 2)
        parts = [self._selection(parent, depth, nesting) for _ in range(count)]
        # So that there is always something.
        parts.insert(pick.randint(0, len(parts)), self._plain(parent))
        return "{ " + " ".join(part for part in parts if part) + " }"

    def _plain(self, parent: GraphQLNamedType) -> str:
        fields = getattr(parent, "fields", {})
        leaves = [
            name
            for name, known in fields.items()
            if graphql.is_leaf_type(graphql.get_named_type(known.type)) and not known.args
        ]
        name = self.random.choice([*leaves, "__typename"])
        return f"{self._alias(name, '')}{name}"

    def _alias(self, name: str, arguments: str) -> str:
        """Return an alias that most often goes with the same field and arguments, so that fields merge."""
        if self.random.random() < 0.02:
            return f"{self.random.choice(ALIASES)}: "
        if not arguments:
            return f"{name}_{self.random.choice(ALIASES)}: " if self.random.random() < 0.1 else ""
        number = self.aliases.setdefault((name, arguments), len(self.aliases))
        return f"{name}_{number}: "

    def _selection(self, parent: GraphQLNamedType, depth: int, nesting: int) -> str:
        pick = self.random
        choice = pick.random()
        if choice < 0.28 and nesting < 3 and self.fields < 60:
            return self._fragment(parent, depth, nesting)
        fields = getattr(parent, "fields", {})
        if not fields:
            return "__typename" if pick.random() < 0.3 else self._fragment(parent, depth, nesting)
        self.fields += 1
        names = sorted(fields)
        name = pick.choice(names)
        known = fields[name]
        below = graphql.get_named_type(known.type)
        if graphql.is_composite_type(below) and (depth >= MAX_DEPTH or self.fields > 60):
            return "__typename"
        arguments = []
        for argument, definition in known.args.items():
            if pick.random() < (0.25 if argument != "boom" else 0.08):
                arguments.append(f"{argument}: {self._value(definition.type, 0, definition.default_value)}")
        given = f"({', '.join(arguments)})" if arguments else ""
        selections = self._set(below, depth + 1) if graphql.is_composite_type(below) else ""
        return f"{self._alias(name, given)}{name}{given}{self._directives()} {selections}"

    def _fragment(self, parent: GraphQLNamedType, depth: int, nesting: int) -> str:
        pick = self.random
        if pick.random() < 0.1:
            return f"...{self._directives()} {self._set(parent, depth, nesting + 1)}"
        condition = pick.choice(self._overlapping(parent))
        if pick.random() < 0.5:
            return f"... on {condition.name}{self._directives()} {self._set(condition, depth, nesting + 1)}"
        known = [
            name for name, on in self.conditions.items() if on == condition.name and name in self.fragments
        ]
        if known and pick.random() < 0.5:
            name = pick.choice(known)
        else:
            name = f"F{len(self.conditions)}"
            self.conditions[name] = condition.name
            self.fragments[name] = self._set(condition, depth, nesting + 1)
        return f"...{name}{self._directives()}"

    def _overlapping(self, parent: GraphQLNamedType) -> list[GraphQLNamedType]:
        def possible(kind: GraphQLNamedType) -> set[str]:
            if isinstance(kind, GraphQLObjectType):
                return {kind.name}
            return {each.name for each in self.schema.get_possible_types(kind)}  # type: ignore[arg-type]

        ours = possible(parent)
        composite = [kind for kind in self.schema.type_map.values() if graphql.is_composite_type(kind)]
        return [kind for kind in composite if not kind.name.startswith("__") and possible(kind) & ours]

    def _directives(self) -> str:
        pick = self.random
        found = []
        for name in ("skip", "include"):
            if pick.random() < 0.07:
                if pick.random() < 0.5:
                    value = pick.choice(["true", "false"])
                else:
                    value = self._variable(GraphQLNonNull(graphql.GraphQLBoolean), None)
                found.append(f" @{name}(if: {value})")
        return "".join(found)

    # ---- values

    def _value(self, kind: GraphQLInputType, depth: int, default: Any) -> str:
        if self.random.random() < 0.3:
            return self._variable(kind, default)
        return self._literal(kind, depth, constant=False)

    def _variable(self, kind: GraphQLInputType, default: Any) -> str:
        pick = self.random
        same = [known for known in self.variables if str(known.type) == str(kind)]
        if same and pick.random() < 0.4:
            return f"${pick.choice(same).name}"
        declared: GraphQLInputType = kind
        initial = None
        is_boolean = graphql.get_named_type(kind) is graphql.GraphQLBoolean
        if isinstance(kind, GraphQLNonNull) and (pick.random() < 0.3):
            # A variable that may be null fits where a default comes between; but then it must not be null.
            initial = self._literal(kind, 0, constant=True)
            declared = kind.of_type if not is_boolean else kind
            if not is_boolean and pick.random() < 0.02:
                initial = "null"
        elif not isinstance(kind, GraphQLNonNull):
            if pick.random() < 0.3:
                initial = self._literal(kind, 0, constant=True)
            if pick.random() < 0.2:
                declared = GraphQLNonNull(kind)  # type: ignore[type-var]
        variable = _Variable(f"v{len(self.variables)}", declared, initial)
        self.variables.append(variable)
        return f"${variable.name}"

    def _literal(self, kind: GraphQLInputType, depth: int, *, constant: bool, nullable: bool = True) -> str:
        pick = self.random
        if isinstance(kind, GraphQLNonNull):
            return self._literal(kind.of_type, depth, constant=constant, nullable=False)
        if nullable and pick.random() < 0.1:
            return "null"
        if not constant and depth and pick.random() < 0.2:
            return self._variable(kind if nullable else GraphQLNonNull(kind), None)
        if isinstance(kind, GraphQLList):
            if pick.random() < 0.2:
                return self._item(kind.of_type, depth, constant)
            items = (self._item(kind.of_type, depth, constant) for _ in range(pick.randint(0, 3)))
            return f"[{', '.join(items)}]"
        if isinstance(kind, GraphQLEnumType):
            return pick.choice(list(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            fields = []
            names = list(kind.fields)
            if kind.is_one_of:
                names = [pick.choice(names)]
            for name in names:
                known = kind.fields[name]
                if kind.is_one_of and pick.random() < 0.98:
                    given = self._literal(known.type, depth + 1, constant=constant, nullable=False)
                    fields.append(f"{name}: {given}")
                    continue
                needed = graphql.is_required_input_field(known) or kind.is_one_of
                if (needed or pick.random() < 0.6) and depth < 4:
                    fields.append(f"{name}: {self._item(known.type, depth, constant)}")
            return "{" + ", ".join(fields) + "}"
        return {
            "Int": lambda: str(pick.choice([0, 1, 2, -3])),
            "Float": lambda: pick.choice(["1", "2.5", "-1e3"]),
            "Boolean": lambda: pick.choice(["true", "false"]),
            "ID": lambda: pick.choice(['"x"', "7"]),
        }.get(kind.name, lambda: pick.choice(['"text"', '"\\u2603 \\"q\\""', '"""block"""']))()

    def _item(self, kind: GraphQLInputType, depth: int, constant: bool) -> str:
        return self._literal(kind, depth + 1, constant=constant, nullable=self.random.random() < 0.5)

    def _json(self, kind: GraphQLInputType) -> Any:
        pick = self.random
        if isinstance(kind, GraphQLNonNull):
            if pick.random() < 0.004:
                return None
            while (value := self._json(kind.of_type)) is None:
                pass
            return value
        if pick.random() < 0.12:
            return None
        if pick.random() < 0.003:
            # Of another type, most of the time.
            return pick.choice([1, "x", True, [1], {"a": 1}, 1.5, 2**40])
        if isinstance(kind, GraphQLList):
            if pick.random() < 0.2:
                return self._json(kind.of_type)
            return [self._json(kind.of_type) for _ in range(pick.randint(0, 3))]
        if isinstance(kind, GraphQLEnumType):
            return pick.choice(list(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            names = list(kind.fields)
            if kind.is_one_of and pick.random() < 0.99:
                # Else any number of them, and any of them null.
                name = pick.choice(names)
                return {name: self._json(GraphQLNonNull(kind.fields[name].type))}
            needed = [name for name in names if graphql.is_required_input_field(kind.fields[name])]
            chosen = [name for name in names if name in needed or pick.random() < 0.5]
            return {name: self._json(kind.fields[name].type) for name in chosen}
        return {
            "Int": lambda: pick.choice([0, 1, 2, -3, 2.0]),
            "Float": lambda: pick.choice([1, 2.5, -1e3]),
            "Boolean": lambda: pick.random() < 0.5,
            "ID": lambda: pick.choice(["x", 7]),
        }.get(kind.name, lambda: pick.choice(["text", "\u2603"]))()


def random_query(schema: GraphQLSchema, seed: int, sets: int) -> Query:
    """Return the document of a seed, with so many sets of variables if it has any."""
    return Writer(schema, random.Random(seed)).write(sets)
