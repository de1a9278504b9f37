"""Pub-sub: messages between connections of all processes that share one Redis.

Example:
    >>> import puff
    >>> pubsub = puff.global_pubsub()
    >>> with pubsub.connection() as reader:
    ...     _ = reader.subscribe("planets")
    ...     _ = pubsub.publish_json("planets", {"name": "Mars"})
    ...     reader.receive(timeout=5).json()
    {'name': 'Mars'}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from ._hub import current_hub, log
from ._limits import Deadline
from ._native import native
from ._sync import Lock

if TYPE_CHECKING:
    from ._puff import PubSubHandle

__all__ = ["START", "Connection", "Event", "Gap", "Join", "Leave", "Member", "Message", "PubSub"]

START = "0000000000000000-0"
"""The position before a channel's first message: `subscribe(..., since=START)` replays all that is kept."""


class Message:
    """A message that arrived."""

    __slots__ = ("body", "channel", "from_connection_id", "position")

    def __init__(
        self, channel: str, body: bytes, from_connection_id: str | None, position: str | None = None
    ) -> None:
        self.channel = channel
        """The channel it was published to."""
        self.body = body
        """What was published, as bytes."""
        self.from_connection_id = from_connection_id
        """Who published it; None if that was not Puff, or nobody in particular."""
        self.position = position
        """Its place in the channel, to be given to `subscribe(channel, since=...)`; None if Puff did not
        publish it."""

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

    __slots__ = ("channel", "last", "missed", "next", "presence")

    def __init__(
        self,
        channel: str,
        last: str | None = None,
        next: str | None = None,
        missed: int | None = None,
        presence: bool = False,
    ) -> None:
        self.channel = channel
        self.last = last
        """The position before the gap, where it is known."""
        self.next = next
        """The position of the first message after the gap, where it is known already."""
        self.missed = missed
        """How many messages are missing at most, where it is known. With 0, only messages that Puff did not
        publish can be missing."""
        self.presence = presence
        """True if no messages are missing but changes of who is there: ask `PubSub.presence`."""

    def __repr__(self) -> str:
        return f"Gap(channel={self.channel!r}, missed={self.missed!r})"


class Member:
    """Somebody on a channel, by one connection or by several."""

    __slots__ = ("id", "info")

    def __init__(self, id: str, info: Any) -> None:
        self.id = id
        """What it was called when it entered."""
        self.info = info
        """What it told of itself when it entered last."""

    def __repr__(self) -> str:
        return f"Member(id={self.id!r}, info={self.info!r})"


class _Change:
    __slots__ = ("channel", "member")

    def __init__(self, channel: str, member: Member) -> None:
        self.channel = channel
        self.member = member

    def __repr__(self) -> str:
        return f"{type(self).__name__}(channel={self.channel!r}, member={self.member!r})"


class Join(_Change):
    """A member's first connection has entered `channel`."""

    __slots__ = ()


class Leave(_Change):
    """A member's last connection has left `channel`, or is not heard of any more."""

    __slots__ = ()


Event = Message | Gap | Join | Leave
"""What `Connection.receive` returns."""


class Connection:
    """One receiver, with an id of its own; made by `PubSub.connection`.

    Use it in a `with` block, close it, or let it be collected. Iterating over it gives what `receive` gives,
    until it is closed. Several greenlets and threads may use it; an event goes to one of them.
    """

    def __init__(self, connection_id: str | None, overflow: str | None = None) -> None:
        self._wanted_id = connection_id
        self._overflow = overflow
        self._handle: PubSubHandle | None = None
        self._gaps: set[str] = set()
        self._closed = False
        self._opening = Lock()

    def _open(self) -> PubSubHandle:
        if self._closed:
            raise RuntimeError("this pub-sub connection is closed")
        if self._handle is not None:
            return self._handle
        with self._opening:
            if self._handle is None:
                connect = partial(native.pubsub_connect, self._wanted_id, self._overflow)
                handle = current_hub().wait_for(connect)
                if self._closed:  # meanwhile
                    handle.close()
                    raise RuntimeError("this pub-sub connection is closed")
                self._handle = handle
            return self._handle

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        while not self._closed:
            event = self.receive()
            if event is None:
                return
            yield event

    @property
    def id(self) -> str:
        """This connection's id, which its messages carry."""
        return self._wanted_id if self._wanted_id is not None else self._open().id

    def subscribe(
        self,
        channel: str,
        *,
        gaps: bool = False,
        since: str | None = None,
        echo: bool = True,
        presence: bool = False,
    ) -> str:
        """Receives what is published to `channel` from now on; returns when Redis has confirmed.

        Args:
            channel: its name, 1 to 1,024 bytes.
            gaps: whether `receive` also returns a `Gap` for this channel; without it a gap is logged.
            since: a position, of a message or returned by an earlier call; what came after it comes first,
                with a `Gap` before it if the channel does not keep it all any more. `START` is all that is
                kept.
            echo: whether what this connection publishes comes back to it.
            presence: whether `receive` also returns a `Join` or `Leave` when somebody enters or leaves the
                channel, and a `Gap` with `presence` where such may have been missed.

        Returns:
            The position that messages follow.

        Raises:
            ValueError: no such channel is possible, or no such position.
            ConnectionError: Redis cannot be reached, or refuses the password.
            TimeoutError: Redis does not answer.
            RuntimeError: the connection is closed, or Redis refuses the channel.

        Example:
            >>> import puff
            >>> pubsub = puff.global_pubsub()
            >>> pubsub.publish("log", "one", keep=100, keep_seconds=60)
            0
            >>> with pubsub.connection() as reader:
            ...     _ = reader.subscribe("log", since=puff.pubsub.START)
            ...     reader.receive(timeout=5).text
            'one'
        """
        handle = self._open()
        had = channel in self._gaps
        if gaps:
            self._gaps.add(channel)
        try:
            if presence:
                current_hub().wait_for(partial(handle.watch, channel))
            return current_hub().wait_for(partial(handle.subscribe, channel, since, echo))  # type: ignore[no-any-return]
        except BaseException:
            if not had:
                self._gaps.discard(channel)
            raise

    def unsubscribe(self, channel: str) -> None:
        """Receives no more of `channel`, also not what waits already."""
        self._gaps.discard(channel)
        self._open().unsubscribe(channel)

    def enter(self, channel: str, member: str | None = None, info: Any = None) -> None:
        """Is on `channel` from now on, for all who ask `PubSub.presence` or subscribe with `presence=True`.

        It stays until `leave` or `close`, or until nothing is heard of this process for 30 seconds. One
        member may have several connections and is there once; one connection is on a channel as one member,
        and entering again changes what it tells, or who it is.

        Args:
            channel: its name. It need not be subscribed.
            member: who it is, for example the name of a user; the connection's id if nothing is said.
            info: what it tells of itself: anything that JSON has, at most 4 KiB of it.

        Raises:
            ValueError: no such channel or member is possible, or too much is told.
            ConnectionError: Redis cannot be reached.
            RuntimeError: the connection is closed, or 10,000 connections are there already.

        Example:
            >>> import puff
            >>> pubsub = puff.global_pubsub()
            >>> with pubsub.connection() as connection:
            ...     connection.enter("bridge", "spock", {"rank": "commander"})
            ...     pubsub.presence("bridge")
            [Member(id='spock', info={'rank': 'commander'})]
        """
        told = json.dumps(info, separators=(",", ":")).encode()
        current_hub().wait_for(partial(self._open().enter, channel, member, told))

    def leave(self, channel: str) -> bool:
        """Is on `channel` no more; whether it was."""
        return current_hub().wait_for(partial(self._open().leave, channel))  # type: ignore[no-any-return]

    def receive(self, timeout: float | None = None) -> Event | None:
        """Waits for the next message; None if there is none within `timeout` seconds or when it is closed.

        Raises:
            ConnectionError: it was closed because its queue was full (`overflow="disconnect"`).
            RuntimeError: it was closed before.
        """
        handle = self._open()
        deadline = Deadline(timeout)
        while True:
            event = handle.take()
            if event is None:
                try:
                    event = current_hub().wait_for(handle.receive, deadline.left())
                except TimeoutError:
                    if not deadline.is_over():
                        raise  # of a `puff.timeout` around this
                    return None
                if event is None:
                    return None
            if len(event) == 4:
                return Message(*event)
            if len(event) == 6:
                channel, member, info, joined, _, _ = event
                return (Join if joined else Leave)(channel, _member(member, info))
            gap = Gap(*event)
            channel = gap.channel
            if gap.presence or channel in self._gaps:
                return gap
            log.warning("messages of channel %r may have been missed by connection %s", channel, self.id)

    def publish(
        self, channel: str, message: str | bytes, *, keep: int | None = None, keep_seconds: float = 300
    ) -> int:
        """Publishes in this connection's name; the number of receivers Redis knows of."""
        return _publish(self.id, channel, message, keep, keep_seconds)

    def close(self) -> None:
        """Ends all subscriptions. A waiting `receive` returns None. Repeating it does nothing."""
        self._closed = True
        if self._handle is not None:
            self._handle.close()


class PubSub:
    """The program's pub-sub."""

    __slots__ = ()

    def new_connection_id(self) -> str:
        """A fresh id, unique among all processes."""
        return native.new_connection_id()

    def connection(
        self, *, overflow: Literal["gap", "drop_oldest", "disconnect"] | None = None
    ) -> Connection:
        """A connection with an id of its own.

        Args:
            overflow: what happens when it is so slow that its queue is full. `gap` drops the newest messages,
                `drop_oldest` the oldest, and both leave a `Gap` in their place; `disconnect` closes it. The
                setting `pubsub_overflow` if nothing is said.
        """
        return Connection(self.new_connection_id(), overflow)

    def connection_with_id(
        self, connection_id: str, *, overflow: Literal["gap", "drop_oldest", "disconnect"] | None = None
    ) -> Connection:
        """A connection with an id that was made before."""
        return Connection(connection_id, overflow)

    def publish(
        self, channel: str, message: str | bytes, *, keep: int | None = None, keep_seconds: float = 300
    ) -> int:
        """Publishes in nobody's name; the number of receivers (of nodes, with Redis).

        Args:
            channel: its name, 1 to 1,024 bytes.
            message: a text, which is sent as UTF-8, or bytes.
            keep: how many of its last messages the channel keeps for those who subscribe `since` a position,
                1 to 10,000. The setting `pubsub_history` wins.
            keep_seconds: for how long after the last one.

        Raises:
            ValueError: no such channel is possible, or the message is too large.
            ConnectionError: Redis cannot be reached.
            TimeoutError: Redis does not answer.

        Example:
            >>> import puff
            >>> puff.global_pubsub().publish("nobody-listens", "hello")
            0
        """
        return _publish(None, channel, message, keep, keep_seconds)

    def publish_as(
        self,
        connection_id: str,
        channel: str,
        message: str | bytes,
        *,
        keep: int | None = None,
        keep_seconds: float = 300,
    ) -> int:
        """Publishes in the name of a connection; receivers see its id."""
        return _publish(connection_id, channel, message, keep, keep_seconds)

    def presence(self, channel: str) -> list[Member]:
        """Who is on a channel: each member once, in no order; see `Connection.enter`.

        Raises:
            ValueError: no such channel is possible.
            ConnectionError: Redis cannot be reached.
            TimeoutError: Redis does not answer.
        """
        pairs = current_hub().wait_for(partial(native.pubsub_presence, channel))
        return [_member(member, info) for member, info in pairs]

    def publish_json(
        self, channel: str, value: Any, *, keep: int | None = None, keep_seconds: float = 300
    ) -> int:
        """Publishes `value` as JSON; receivers read it with `Message.json`."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return _publish(None, channel, text, keep, keep_seconds)

    def publish_bytes(
        self, channel: str, data: bytes, *, keep: int | None = None, keep_seconds: float = 300
    ) -> int:
        """Publishes bytes as they are (or anything that has a buffer); receivers read `Message.body`."""
        return _publish(None, channel, bytes(data), keep, keep_seconds)


def _member(member: str, info: bytes) -> Member:
    try:
        return Member(member, json.loads(info) if info else None)
    except ValueError:  # a Rust program may tell what it likes
        return Member(member, info)


def _publish(
    sender: str | None, channel: str, message: str | bytes, keep: int | None, keep_seconds: float
) -> int:
    body = message.encode() if isinstance(message, str) else message
    kept = None if keep is None else (keep, float(keep_seconds))
    return current_hub().wait_for(  # type: ignore[no-any-return]
        partial(native.pubsub_publish, sender, channel, body, kept)
    )
