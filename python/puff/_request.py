"""Which request the running greenlet answers."""

from __future__ import annotations

from greenlet import getcurrent

from ._hub import Worker, running


def request_id() -> str | None:
    """The id of the request that the calling greenlet answers.

    None elsewhere, and without the setting `request_id`.
    Greenlets that the request starts (`puff.spawn`) have none of their own: hand it to them.

    Example:
        >>> import puff
        >>> puff.request_id() is None
        True
    """
    if not running():
        return None  # at the very end even to ask for the current greenlet is an error
    current = getcurrent()
    if not isinstance(current, Worker) or current.puff_job is None:
        return None
    found = getattr(current.puff_job[1], "request_id", None)
    return found if isinstance(found, str) else None
