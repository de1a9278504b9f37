"""Event streams: what is published on channels, as the body of an HTTP answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from ._hub import current_hub
from ._native import native
from ._request import wsgi_request

if TYPE_CHECKING:
    from ._puff import EventStreamHandle, WsgiRequest


class EventStream:
    """The body of an answer that `event_stream` has opened: an iterable of bytes, as WSGI has it.

    The server recognises it and sends it by itself, without Python. Under another server, or inside an
    iterable of somebody else's, it is read piece by piece; each piece is one event or several, or a comment.
    """

    def __init__(self, handle: EventStreamHandle) -> None:
        self._handle = handle

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers that the answer needs."""
        return [
            ("Content-Type", "text/event-stream; charset=utf-8"),
            ("Cache-Control", "no-cache"),
            # nginx would gather events until its buffer is full.
            ("X-Accel-Buffering", "no"),
        ]

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if piece := self.read():
            return piece
        raise StopIteration

    def read(self, size: int = -1, /) -> bytes:
        """The next piece, once there is one, whatever its size; empty at the end."""
        piece: bytes | None = current_hub().wait_for(self._handle.next)
        return piece or b""

    def close(self) -> None:
        """Ends the stream, unless the server has it."""
        self._handle.close()

    def send(self, request: WsgiRequest) -> bool:
        """Gives the stream to the server; False if it was read from, or something else was sent before."""
        return request.send_events(self._handle)


def event_stream(
    channels: str | Sequence[str],
    *,
    since: str | None = None,
    format: Literal["body", "json", "text"] = "body",
    event: str | None = None,
    retry: float | None = None,
) -> EventStream:
    """What is published on one channel or several, as the body of an answer: server-sent events.

    Whoever calls this has seen to it that the client may hear these channels. Returns when that is confirmed;
    from then on nothing is missed. The server sends the events without Python and without a greenlet, a
    comment when there have been none for `event_stream_keep_alive`, and ends the stream when it stops itself.

    A browser's `EventSource` that connects again says which event was its last, by the header
    `Last-Event-ID`; the stream goes on behind it, if the channel keeps its messages, else it begins with an
    event of the type `gap`. So does every other gap come: its data is `{"channel": ..., "gap": {"last": ...,
    "next": ..., "missed": ...}}`.

    Args:
        channels: their names, up to 100.
        since: where a client without `Last-Event-ID` begins: the position of a message or a subscription, of
            several channels theirs with commas between.
        format: what an event's data is. `body` is the message's body; one that is not UTF-8 is an event of
            the type `base64`. `json` is an object, `{"channel": ..., "position": ..., "from": ..., "data":
            ...}`, where `data` is the body, which is JSON; one that is not comes as a string, `text`, or as
            `base64` in its place. `text` is the same object with the body as a string, whatever it says.
        event: the events' type; without it browsers dispatch them as `message`.
        retry: after how many seconds a client is to connect again.

    Raises:
        ValueError: the channels, `since` or the format are not possible.
        ConnectionError: Redis cannot be reached.
        TimeoutError: Redis does not answer.

    Example:
        >>> def app(environ, start_response):
        ...     stream = event_stream("news")
        ...     start_response("200 OK", stream.headers)
        ...     return stream
        >>> app({}, lambda status, headers: print(status, headers[0])).close()
        200 OK ('Content-Type', 'text/event-stream; charset=utf-8')
    """
    names = [channels] if isinstance(channels, str) else list(channels)
    request = wsgi_request()
    last = None if request is None else request.environ.get("HTTP_LAST_EVENT_ID")
    handle = current_hub().wait_for(
        partial(native.event_stream_open, names, since, last, format, event, retry)
    )
    return EventStream(handle)
