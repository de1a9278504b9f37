"""What a session says unasked: notices and notifications."""

from __future__ import annotations

from typing import Any

from ._notify import Notify
from ._session import Session

__all__ = ["Mailbox"]

_MAX_NOTICES = 50


class Mailbox:
    """The part of a connection that keeps what the server said unasked."""

    closed: int = 1
    """0 if open, 1 if closed, 2 if the server is gone. (A subclass may forget to call __init__.)"""

    _session: Session
    # Somebody holds one of the lists, so they are filled after each statement.
    _watched = False
    _notices: Any
    _notifies: Any

    @property
    def notices(self) -> Any:
        """The server's notices, the last 50. May be set to anything that has ``append``, or None."""
        self._watched = True
        self._collect()
        return self._notices

    @notices.setter
    def notices(self, value: Any) -> None:
        self._collect()
        self._watched = True
        self._notices = value

    @property
    def notifies(self) -> Any:
        """The notifications that have arrived: `extensions.Notify`. Remove what you have seen."""
        self._watched = True
        self._collect()
        return self._notifies

    @notifies.setter
    def notifies(self, value: Any) -> None:
        self._collect()
        self._watched = True
        self._notifies = value

    def _collect(self) -> None:
        if self.closed == 1:
            return
        session = self._session
        texts = session.take_notices()
        if texts and self._notices is not None:
            for text in texts:
                self._notices.append(text)
            if type(self._notices) is list:
                del self._notices[:-_MAX_NOTICES]
        for notify in session.take_notifies():
            if self._notifies is not None:
                self._notifies.append(Notify(*notify))
