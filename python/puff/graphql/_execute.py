"""One call of a resolver, in a greenlet of the hub; the native half made the call and takes its result."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent

from ._translate import meant
from .errors import GraphQLError

if TYPE_CHECKING:
    from .._puff import BlameCall, CellsCall, ChecksCall, ResolverCall

log = logging.getLogger("puff.graphql")


class Row(dict[str, Any]):
    """A parent that is a row of SQL: `row["id"]`, or `row.id`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the row has no column {name!r} (columns: {', '.join(self)})") from None


def resolve(call: ResolverCall) -> None:
    """Runs one resolver for its whole layer."""
    try:
        if not call.begin(getcurrent()):
            return
        unexpected = call.finish(call.function(call.parents(), call.context(), call.arguments()))
    except GreenletExit as error:
        call.fail(error)
        raise
    except BaseException as error:
        # Also SystemExit: what a client can bring about must not end the server.
        if call.fail(meant(error)):
            log.warning("resolver %s failed", call.place(), exc_info=error)
    else:
        if unexpected is not None:
            first, count = unexpected
            log.warning(
                "resolver %s: %d of its values are exceptions, the first:",
                call.place(),
                count,
                exc_info=first,
            )


def blame(call: BlameCall) -> None:
    """Tells the author of a statement what is wrong with it, and where it stands."""
    place = call.place()
    for message in call.messages:
        log.warning("the statement of %s: %s", place, message)
    call.finish(place)


def convert(call: CellsCall) -> None:
    """Makes the values of a scalar of the cells of one column; an exception is the error of its own cell."""
    try:
        function, depth = call.function, call.list_depth
        call.finish([_converted(function, value, depth) for value in call.values()])
    except GreenletExit as error:
        call.fail(error)
        raise
    except BaseException as error:
        call.fail(error)
        log.warning("scalar %s failed", call, exc_info=error)


def check(call: ChecksCall) -> None:
    """Has scalars check what a client gave for them, before anything runs."""
    try:
        call.finish([_refusal(parse, value) for parse, value in call.values()])
    except GreenletExit as error:
        call.fail(error)
        raise
    except BaseException as error:
        call.fail(error)
        log.warning("a value of a client cannot be checked", exc_info=error)


def _refusal(parse: Callable[[Any], Any], value: Any) -> str | None:
    try:
        parse(value)
    except GraphQLError as error:
        return error.message
    return None


def _converted(function: Callable[[Any], Any], value: Any, depth: int) -> Any:
    if value is None:
        return None
    if depth and isinstance(value, list):
        return [_converted(function, item, depth - 1) for item in value]
    try:
        return function(value)
    except Exception as error:
        return error
