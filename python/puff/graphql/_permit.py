"""Permissions as a layer asks them: all that it needs, in one greenlet."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent

from ._borrow import lent
from ._guards import Guard, Link
from ._inputs import convert
from ._permissions import Guarded, name_of
from ._translate import meant
from .errors import ArgumentError, Forbidden, GraphQLError

if TYPE_CHECKING:
    from .._puff import Context, PermitCall

log = logging.getLogger("puff.graphql")

Refusals = BaseException | list[BaseException | None] | None
"""None: granted. Otherwise why not, or that for each parent."""


def permit(call: PermitCall) -> None:
    """Asks all permissions that one layer needs, in a greenlet of the hub."""
    try:
        if not call.begin(getcurrent()):
            return
        known: dict[Link, Refusals] = {}
        call.finish(
            [_ask(guard, context, values, parents, known) for guard, context, parents, values in call.asked()]
        )
    except GreenletExit as error:
        call.fail(error)
        raise
    except BaseException as error:
        call.fail(error)
        log.warning("permissions could not be asked for", exc_info=error)


def permit_lent(call: PermitCall) -> None:
    """The same for a request on the connection of who asks: it is lent to the permissions."""
    lent(lambda parents, context, arguments: permit(call), "default")(None, call.context(), {})


def _ask(
    guard: Guard,
    context: Context,
    arguments: Mapping[str, Any],
    parents: int | None,
    known: dict[Link, Refusals],
) -> Refusals:
    """Asks link by link. What guards types has no arguments, and is asked once: then it is ``known``."""
    try:
        arguments = convert(*guard.shape, arguments)
    except ArgumentError as error:
        return error
    found: Refusals = None
    for link in guard.links:
        if link.field is None:
            if link not in known:
                known[link] = _ask_link(link, context, {}, None)
            answer = known[link]
        else:
            answer = _ask_link(link, context, arguments, parents)
        found = _both(found, answer)
        if isinstance(found, BaseException):
            break
    return found


def _ask_link(link: Link, context: Context, arguments: Mapping[str, Any], parents: int | None) -> Refusals:
    """Asks the functions in their order; the first that refuses all is the last that is asked."""
    guarded = Guarded(link.type, link.field, arguments)
    found: Refusals = None
    for function in link.functions:
        try:
            answer = _read(function(context, guarded), parents)
        except GreenletExit:
            raise
        except GraphQLError as error:
            return error
        except BaseException as error:
            told = meant(error)
            if told is error:
                # Also SystemExit: what a client can bring about must not end the server.
                log.warning("permission %s of %s failed", name_of(function), link, exc_info=error)
            return told
        found = _both(found, answer)
        if isinstance(found, BaseException):
            break
    return found


def _read(answer: Any, parents: int | None) -> Refusals:
    if answer is True:
        return None
    if answer is False:
        return Forbidden()
    if parents is None or not isinstance(answer, (list, tuple)):
        also = "" if parents is None else ", or a list of these with one for each parent"
        raise TypeError(f"the permission returned {answer!r}; it returns True or False{also}, or raises")
    if len(answer) != parents:
        raise TypeError(f"the permission returned {len(answer)} answers for {parents} parents")
    return [_read_one(one) for one in answer]


def _read_one(answer: Any) -> BaseException | None:
    if isinstance(answer, Exception):
        return answer
    if answer is True or answer is False:
        return None if answer else Forbidden()
    raise TypeError(f"the permission returned {answer!r} for a parent; each has True, False or an exception")


def _both(one: Refusals, other: Refusals) -> Refusals:
    """Return what remains if both have to grant."""
    if one is None or isinstance(other, BaseException):
        return other
    if other is None or isinstance(one, BaseException):
        return one
    return [a if a is not None else b for a, b in zip(one, other, strict=True)]
