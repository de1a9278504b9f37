"""One subscription: a generator in a greenlet of the hub; the native half takes its events."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent

from .._hub import current_hub
from .errors import ConnectionRejected

if TYPE_CHECKING:
    from .._puff import Context, SubscriptionCall

log = logging.getLogger("puff.graphql")


def run(call: SubscriptionCall) -> None:
    """Runs the resolver's generator to its end, or until nobody wants its events any more.

    Then `GreenletExit` is raised where this greenlet waits: in the generator, whose `finally` blocks run, or
    between two events, where the generator is closed.
    """
    try:
        if not call.begin(getcurrent()):
            return
        events = _events(call)
        try:
            _give(call, events)
        finally:
            close = getattr(events, "close", None)
            if close is not None:
                close()
    except GreenletExit:
        call.killed()
        raise
    except BaseException as error:
        # Also SystemExit: what a client can bring about must not end the server.
        if call.fail(error):
            log.warning("subscription %s failed", call, exc_info=error)
    else:
        call.finish()


def _events(call: SubscriptionCall) -> Iterator[Any]:
    found = call.function(call.parents(), call.context(), call.arguments())
    try:
        return iter(found)
    except TypeError:
        raise TypeError(
            f"the subscription {call} returned {type(found).__qualname__}, which is no iterable of events"
        ) from None


def _give(call: SubscriptionCall, events: Iterator[Any]) -> None:
    wait_for = current_hub().wait_for
    for event in events:
        unexpected = call.emit(event)
        if unexpected is not None:
            first, count = unexpected
            log.warning("an event of %s has %d exceptions, the first:", call, count, exc_info=first)
        # A generator that was told to end and goes on is closed here.
        if call.is_full() and not wait_for(call.room):
            raise GreenletExit


def connect(hook: Callable[[Context], object], context: Context) -> tuple[bool, str | None]:
    """Asks a schema's `connect` about the client of a WebSocket.

    Returns:
        (True, JSON that goes with the acknowledgement or None), or (False, the reason or None).
    """
    try:
        answer = hook(context)
        if answer is False:
            return False, None
        if answer is None or answer is True:
            return True, None
        if not isinstance(answer, dict):
            raise TypeError(f"connect returned {type(answer).__qualname__}; it returns None, False or a dict")
        return True, json.dumps(answer)
    except ConnectionRejected as rejected:
        return False, str(rejected) or None
    except Exception as error:
        log.error("connect failed", exc_info=error)
        raise
