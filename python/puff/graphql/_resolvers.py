"""The table of resolvers that Rust calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from ._annotations import Returns
from ._inputs import Converters, Shape, convert, is_plain
from ._model import Classes, Field, Source
from ._names import Names
from ._sql import ConstantSql

Call = Callable[[Any, Any, dict[str, Any]], Any]


@dataclass(frozen=True)
class Resolver:
    """One field of the schema that has a function or constant SQL behind it.

    Attributes:
        id: The same number means the same resolver, which several types inherit from an interface.
        type_name: GraphQL type that the field belongs to: an object type or an interface.
        field_name: GraphQL name of the field.
        kind: ``"python"``: call ``call``. ``"sql"``: run ``sql``; Python is not needed.
        takes_parents: Whether the function wants the parents; if not, ``call`` ignores them.
        subscription: Whether the result is an iterable of events.
        returns: What the return annotation promises. ``"value"``: the data. ``"objects"``: (..., objects).
            ``"rows"``: (..., sql, params). ``"joined"``: (..., sql, params, parent keys, child keys).
        function: The user's function, bound to its class; ``None`` for SQL.
        call: ``call(parents, context, arguments)`` runs the function once for a whole layer, on the thread
            and greenlet of the caller. ``arguments`` are keyed by GraphQL name, coerced by the engine, with
            the schema's defaults filled in. Raises ``ArgumentError`` for a value that a custom scalar does
            not take, and whatever the function raises. ``None`` for SQL.
        sql: The statement, or ``None``.
        parent_keys: Columns of the parents; the key set of the n-th one is the array parameter ``$n``.
        child_keys: Columns of the rows that match ``parent_keys``, in the same order.
    """

    id: int
    type_name: str
    field_name: str
    kind: Literal["python", "sql"]
    takes_parents: bool
    subscription: bool
    returns: Returns
    function: Callable[..., Any] | None
    call: Call | None
    sql: str | None = None
    parent_keys: tuple[str, ...] = ()
    child_keys: tuple[str, ...] = ()


def make_resolvers(classes: Classes, names: Names) -> tuple[Resolver, ...]:
    """Return a resolver for each field that has a source, in the order of the schema."""
    converters = Converters(classes, names)
    subscription = classes.roots.get("subscription")
    made: dict[int, Resolver] = {}
    resolvers = []
    for form, fields in (*classes.objects.items(), *classes.interfaces.items()):
        for field in fields:
            if field.source is None:
                continue
            known = made.get(id(field.source))
            if known is None:
                known = _make(len(made), names.member(field), field, field.source, converters)
                known = made[id(field.source)] = replace(known, subscription=form == subscription)
            resolvers.append(replace(known, type_name=names.output(form)))
    return tuple(resolvers)


def _make(number: int, name: str, field: Field, source: Source, converters: Converters) -> Resolver:
    behind = source.behind
    if isinstance(behind, ConstantSql):
        return Resolver(
            number,
            "",
            name,
            kind="sql",
            takes_parents=False,
            subscription=False,
            returns=source.returns,
            function=None,
            call=None,
            sql=behind.statement,
            parent_keys=behind.parent_keys,
            child_keys=behind.child_keys,
        )
    return Resolver(
        number,
        "",
        name,
        kind="python",
        takes_parents=source.takes_parents,
        subscription=False,
        returns=source.returns,
        function=behind,
        call=_call(behind, source.takes_parents, converters.shape(field.arguments)),
    )


def _call(function: Callable[..., Any], takes_parents: bool, shape: Shape) -> Call:
    """Return the cheapest function that calls ``function`` with these arguments.

    This runs once per layer of every request, so the shape of the call is chosen here and not there.
    """
    table, missing = shape
    if not table:
        if takes_parents:
            return lambda parents, context, arguments: function(parents, context)
        return lambda parents, context, arguments: function(context)
    if is_plain(shape):
        if takes_parents:
            return lambda parents, context, arguments: function(parents, context, **arguments)
        return lambda parents, context, arguments: function(context, **arguments)
    if takes_parents:
        return lambda parents, context, arguments: function(
            parents, context, **convert(table, missing, arguments)
        )
    return lambda parents, context, arguments: function(context, **convert(table, missing, arguments))
