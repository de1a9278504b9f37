"""The table of resolvers that Rust calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from ._annotations import ClassForm, Form, ListForm, NullableForm, Returns
from ._borrow import borrowed_database, lent
from ._constants import Constant, plain
from ._inputs import Converters, Shape, convert, is_plain
from ._methods import each
from ._model import Classes, Field, Source
from ._names import Names
from ._pages import paginate
from ._sql import ConstantSql
from ._where import Problem, Where

Call = Callable[[Any, Any, dict[str, Any]], Any]


@dataclass(frozen=True)
class Resolver:
    """One field of the schema that has a function, constant SQL or a constant behind it.

    Attributes:
        id: The same number means the same resolver, which several types inherit from an interface.
        type_name: GraphQL type that the field belongs to: an object type or an interface.
        field_name: GraphQL name of the field.
        kind: ``"python"``: call ``call``. ``"sql"``: run ``sql``; ``"constant"``: answer ``value``.
            For these Python is not needed.
        takes_parents: Whether ``call`` wants the parents and returns one value for each; if not, it ignores
            them. True of an instance method, too.
        subscription: Whether the result is an iterable of events.
        returns: What the return annotation promises. ``"value"``: the data. ``"objects"``: (..., objects).
            ``"rows"``: (..., sql, params). ``"joined"``: (..., sql, params, parent keys, child keys).
        function: The user's function, bound to its class; ``None`` for the other kinds.
        call: ``call(parents, context, arguments)`` runs the function once for a whole layer, on the thread
            and greenlet of the caller. ``arguments`` are keyed by GraphQL name, coerced by the engine, with
            the schema's defaults filled in. Raises ``ArgumentError`` for a value that a custom scalar does
            not take, and whatever the function raises. ``None`` for the other kinds.
        where: The member of the class that it is.
        pages: Whether it returns a statement whose rows are pages, a ``Paged``.
        borrows: Whether it works on the request's own connection; see ``borrow_db_context``.
        sql: The statement, or ``None``.
        parent_keys: Columns of the parents; the key set of the n-th one is the array parameter ``$n``.
        child_keys: Columns of the rows that match ``parent_keys``, in the same order.
        value: The constant as plain data.
    """

    id: int
    type_name: str
    field_name: str
    kind: Literal["python", "sql", "constant"]
    takes_parents: bool
    subscription: bool
    returns: Returns
    function: Callable[..., Any] | None
    call: Call | None
    where: Where
    borrows: bool = False
    pages: bool = False
    sql: str | None = None
    parent_keys: tuple[str, ...] = ()
    child_keys: tuple[str, ...] = ()
    value: Any = None

    def place(self) -> str:
        """Return what it is and where it stands, for the log: ``Query.items (shop.py:12)``."""
        file, line = self.where.source()
        name = f"{self.where.cls.__qualname__}.{self.where.member}"
        return name if file is None else f"{name} ({file}:{line})"


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
                behind = _behind(classes, field, field.source)
                source = replace(field.source, behind=behind)
                known = _make(len(made), names.member(field), field, source, converters, classes)
                known = made[id(field.source)] = replace(known, subscription=form == subscription)
            resolvers.append(replace(known, type_name=names.output(form)))
    return tuple(resolvers)


def _behind(classes: Classes, field: Field, source: Source) -> Callable[..., Any] | ConstantSql | Constant:
    """Return the author's function or statement; with pages what makes them of it."""
    if source.pages is None or isinstance(source.behind, (ConstantSql, Constant)):
        return source.behind
    try:
        return paginate(source.behind, source.pages, _never_null(classes, field.form))
    except ValueError as error:
        raise field.where.error(
            Problem(str(error), "Name columns of the statement: `created DESC, id`")
        ) from None


def _never_null(classes: Classes, form: Form) -> frozenset[str]:
    """Return the columns of a connection's nodes that are fields which are never null."""
    connection = form.inner if isinstance(form, NullableForm) else form
    assert isinstance(connection, ClassForm)
    node: Form | None = None
    for field in classes.objects[connection]:
        if field.name == "nodes" and isinstance(field.form, ListForm):
            node = field.form.inner
    fields = classes.objects.get(node, []) if isinstance(node, ClassForm) else []
    return frozenset(
        field.name for field in fields if field.source is None and not isinstance(field.form, NullableForm)
    )


def _make(
    number: int, name: str, field: Field, source: Source, converters: Converters, classes: Classes
) -> Resolver:
    behind = source.behind
    if isinstance(behind, (ConstantSql, Constant)):
        made = Resolver(
            number,
            "",
            name,
            kind="sql" if isinstance(behind, ConstantSql) else "constant",
            takes_parents=False,
            subscription=False,
            returns=source.returns,
            function=None,
            call=None,
            where=field.where,
        )
        if isinstance(behind, ConstantSql):
            sql, parent_keys, child_keys = behind.statement, behind.parent_keys, behind.child_keys
            return replace(made, sql=sql, parent_keys=parent_keys, child_keys=child_keys)
        try:
            return replace(made, value=plain(field.form, behind.value, classes.enums))
        except Problem as problem:
            raise field.where.error(problem) from None
    call = _call(behind, source, converters.shape(field.arguments))
    borrowed = borrowed_database(behind)
    return Resolver(
        number,
        "",
        name,
        kind="python",
        takes_parents=source.takes_parents or source.method_of is not None,
        subscription=False,
        returns=source.returns,
        function=getattr(behind, "__wrapped__", behind),
        call=call if borrowed is None else lent(call, borrowed),
        where=field.where,
        borrows=borrowed is not None,
        pages=source.pages is not None,
    )


def _call(function: Callable[..., Any], source: Source, shape: Shape) -> Call:
    """Return the cheapest function that calls ``function`` with these arguments.

    This runs once per layer of every request, so the shape of the call is chosen here and not there.
    """
    table, missing = shape
    takes_parents = source.takes_parents
    if source.method_of is not None:
        for_each = each(function, source.method_of, source.returns == "objects")
        if is_plain(shape):
            return for_each
        return lambda parents, context, arguments: for_each(
            parents, context, convert(table, missing, arguments)
        )
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
