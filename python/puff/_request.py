"""Which request the running greenlet answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenlet import getcurrent

from ._hub import Worker, running
from ._native import native

if TYPE_CHECKING:
    from ._puff import WsgiRequest


def request_id() -> str | None:
    """The id of the request that the calling greenlet answers.

    None elsewhere, and without the setting `request_id`.
    Greenlets that the request starts (`puff.spawn`) have none of their own: hand it to them.

    Example:
        >>> import puff
        >>> puff.request_id() is None
        True
    """
    found = getattr(_argument(), "request_id", None)
    return found if isinstance(found, str) else None


def wsgi_request() -> WsgiRequest | None:
    """The request that the calling greenlet answers, if it is one to a WSGI application."""
    found = _argument()
    return found if isinstance(found, native.WsgiRequest) else None


def _argument() -> object:
    """What the calling greenlet was started for."""
    if not running():
        return None  # at the very end even to ask for the current greenlet is an error
    current = getcurrent()
    if not isinstance(current, Worker) or current.puff_job is None:
        return None
    return current.puff_job[1]
