"""Pub-sub: messages between connections of all processes that share one Redis."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from ._hub import current_hub, log
from ._native import native

if TYPE_CHECKING:
    from ._puff import PubSubHandle

__all__ = ["Connection", "Gap", "Message", "PubSub"]


class Message:
    """A message that arrived."""

    __slots__ = ("body", "channel", "from_connection_id")

    def __init__(self, channel: str, body: bytes, from_connection_id: str | None) -> None:
        self.channel = channel
        """The channel it was published to."""
        self.body = body
        """What was published, as bytes."""
        self.from_connection_id = from_connection_id
        """Who published it; None if that was not Puff."""

    @property
    def text(self) -> str:
        """The body as text (UTF-8); raises `UnicodeDecodeError` if it is none."""
        return self.body.decode()

    def json(self) -> Any:
        """The body parsed as JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        sender = self.from_connection_id
        return f"Message(channel={self.channel!r}, body={self.body!r}, from_connection_id={sender!r})"


class Gap:
    """Stands where messages of `channel` may have been missed: after a reconnect or an overflow."""

    __slots__ = ("channel",)

    def __init__(self, channel: str) -> None:
        self.channel = channel

    def __repr__(self) -> str:
        return f"Gap(channel={self.channel!r})"


class Connection:
    """One receiver, with an id of its own; made by `PubSub.connection`. Close it, or let it be collected."""

    def __init__(self, connection_id: str | None) -> None:
        self._wanted_id = connection_id
        self._handle: PubSubHandle | None = None
        self._gaps: set[str] = set()
        self._closed = False

    def _open(self) -> PubSubHandle:
        if self._closed:
            raise RuntimeError("this pub-sub connection is closed")
        if self._handle is None:
            self._handle = current_hub().wait_for(partial(native.pubsub_connect, self._wanted_id))
        return self._handle

    @property
    def id(self) -> str:
        """This connection's id, which its messages carry."""
        return self._wanted_id if self._wanted_id is not None else self._open().id

    def subscribe(self, channel: str, *, gaps: bool = False) -> None:
        """Receives what is published to `channel` from now on; returns when Redis has confirmed.

        Args:
            channel: its name.
            gaps: whether `receive` also returns a `Gap` for this channel; without it a gap is logged.

        Raises:
            ConnectionError: Redis cannot be reached.
        """
        if gaps:
            self._gaps.add(channel)
        current_hub().wait_for(partial(self._open().subscribe, channel))

    def unsubscribe(self, channel: str) -> None:
        """Receives no more of `channel`."""
        self._gaps.discard(channel)
        self._open().unsubscribe(channel)

    def receive(self, timeout: float | None = None) -> Message | Gap | None:
        """Waits for the next message; None if there is none within `timeout` seconds or when it is closed."""
        handle = self._open()
        while True:
            try:
                event = current_hub().wait_for(handle.receive, timeout)
            except TimeoutError:
                return None
            if event is None:
                return None
            channel, body, sender = event
            if body is not None:
                return Message(channel, body, sender)
            if channel in self._gaps:
                return Gap(channel)
            log.warning("messages of channel %r may have been missed by connection %s", channel, self.id)

    def publish(self, channel: str, message: str | bytes) -> int:
        """Publishes in this connection's name; the number of receivers Redis knows of."""
        return PubSub().publish_as(self.id, channel, message)

    def close(self) -> None:
        """Ends all subscriptions. A waiting `receive` returns None."""
        self._closed = True
        if self._handle is not None:
            self._handle.close()


class PubSub:
    """The program's pub-sub."""

    __slots__ = ()

    def new_connection_id(self) -> str:
        """A fresh id, unique among all processes."""
        return native.new_connection_id()

    def connection(self) -> Connection:
        """A connection with an id of its own."""
        return Connection(self.new_connection_id())

    def connection_with_id(self, connection_id: str) -> Connection:
        """A connection with an id that was made before."""
        return Connection(connection_id)

    def publish(self, channel: str, message: str | bytes) -> int:
        """Publishes in nobody's name; the number of receivers (of nodes, with Redis).

        Example:
            >>> import puff
            >>> puff.global_pubsub().publish("nobody-listens", "hello")
            0
        """
        body = message.encode() if isinstance(message, str) else message
        return current_hub().wait_for(partial(native.pubsub_publish, None, channel, body))  # type: ignore[no-any-return]

    def publish_as(self, connection_id: str, channel: str, message: str | bytes) -> int:
        """Publishes in the name of a connection; receivers see its id."""
        body = message.encode() if isinstance(message, str) else message
        return current_hub().wait_for(  # type: ignore[no-any-return]
            partial(native.pubsub_publish, connection_id, channel, body)
        )
