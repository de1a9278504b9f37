"""WSGI (PEP 3333): one request, one greenlet. The native half made the request and sends the response."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._hub import current_hub

if TYPE_CHECKING:
    from ._puff import WsgiRequest

log = logging.getLogger("puff.wsgi")

WsgiApp = Callable[[dict[str, Any], Any], Any]


def handler(app: WsgiApp) -> Callable[[WsgiRequest], None]:
    """What the hub calls for each request to `app`."""

    def handle(request: WsgiRequest) -> None:
        try:
            result = app(request.environ, request)
            kind = type(result)
            if kind is list or kind is tuple:
                request.respond(result)
            else:
                _iterate(request, result)
        except ConnectionResetError:
            pass  # the client has gone; nobody is left to answer
        except BaseException as error:
            # After the headers this cuts the connection, so that the client sees that the body is not whole.
            request.abort()
            if not isinstance(error, Exception):
                raise
            log.error("error in the WSGI application for %s", request, exc_info=error)

    return handle


def _iterate(request: WsgiRequest, result: Any) -> None:
    try:
        for chunk in result:
            while not request.send(chunk):
                current_hub().wait_for(request.drained)
        request.finish()
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()


