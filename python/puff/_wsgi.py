"""WSGI (PEP 3333): one request, one greenlet. The native half made the request and sends the response."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent

from ._hub import current_hub
from ._native import native

if TYPE_CHECKING:
    from ._puff import WsgiRequest

log = logging.getLogger("puff.wsgi")

WsgiApp = Callable[[dict[str, Any], Any], Any]


def handler(app: WsgiApp, kill_gone: bool) -> Callable[[WsgiRequest], None]:
    """What the hub calls for each request to `app`, which with `kill_gone` ends when its client goes."""

    def handle(request: WsgiRequest) -> None:
        try:
            result = app(request.environ, request)
            kind = type(result)
            # Most applications return a list of one piece; it is sent in one go.
            if (kind is not list and kind is not tuple) or not request.respond(result):
                _iterate(request, result)
        except native.ClientGone:
            request.abort()  # nobody is left to answer
        except GreenletExit:
            request.abort()
            raise
        except BaseException as error:
            # Also SystemExit: what a client can bring about must not end the server. After the headers the
            # abort cuts the connection, so that the client sees that the body is not whole.
            request.abort()
            log.error("error in the WSGI application for %s", request, exc_info=error)

    def handle_while_wanted(request: WsgiRequest) -> None:
        if request.begin(getcurrent()):
            handle(request)

    return handle_while_wanted if kill_gone else handle


def _iterate(request: WsgiRequest, result: Any) -> None:
    try:
        for chunk in result:
            write(request, chunk)
        request.finish()
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()


def write(request: WsgiRequest, data: bytes) -> None:
    """Sends a piece of the body, once the client has taken enough; what `start_response` returns."""
    while not request.send(data):
        current_hub().wait_for(request.drained)
