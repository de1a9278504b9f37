"""WebSockets: a function in a greenlet talks with one client. The native half queues the messages."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import parse_qsl

from greenlet import GreenletExit, getcurrent

from ._call import import_for, plain
from ._hub import current_hub
from ._limits import Deadline
from ._native import native

if TYPE_CHECKING:
    from ._puff import WebSocketCall

log = logging.getLogger("puff.websocket")

Function = TypeVar("Function", bound=Callable[..., object])


class WebSocketClosed(Exception):
    """The conversation is over: raised by `WebSocket.receive` and `WebSocket.send`.

    A function that lets it through ends as if it had returned.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        text = f"the WebSocket is closed ({code})"
        super().__init__(f"{text}: {reason}" if reason else text)
        self.code = code
        """The code of RFC 6455: what the client or this side gave, 1005 if the client gave none, 1006 if the
        connection broke or the client did not answer any more."""
        self.reason = reason
        """What was said to it; may be empty."""


class WebSocket:
    """One client of a WebSocket, the first argument of the function that talks with it.

    The first `send`, `receive` or `bind` accepts the client; before that, `reject` refuses it, and `accept`
    chooses a subprotocol. The methods may be called in any greenlet and in threads of `puff.blocking`; sends
    of several greenlets at a time do not mix. When the function returns, the WebSocket is closed.

    Example:
        >>> import puff
        >>> @puff.websocket("/echo")
        ... def echo(ws):
        ...     for message in ws:
        ...         ws.send(message)
    """

    def __init__(self, call: WebSocketCall) -> None:
        self._call = call
        self._connection_id: str | None = None
        self.path: str = call.path
        """The path of the request, percent escapes resolved."""
        self.query_string: str = call.query_string
        """What stands after `?` in the request's target, as it came."""

    @property
    def query(self) -> dict[str, str]:
        """The parameters after `?`; of those with one name the last."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers: lower-case names, values joined with commas (cookies with semicolons)."""
        return self._call.headers()

    @property
    def cookies(self) -> dict[str, str]:
        """The request's cookies; empty if the header is malformed."""
        try:
            return {name: found.value for name, found in SimpleCookie(self.headers.get("cookie", "")).items()}
        except CookieError:
            return {}

    @property
    def scheme(self) -> str:
        """`wss` if the client speaks TLS, else `ws`."""
        return self._call.scheme

    @property
    def client(self) -> tuple[str, int] | None:
        """The client's address and port; None on a Unix socket."""
        return self._call.peer

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, the one it likes best first."""
        return self._call.subprotocols

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that `accept` chose."""
        return self._call.subprotocol

    @property
    def closed(self) -> bool:
        """Whether the conversation is over. Messages that came before its end may still be received."""
        return self._call.closed is not None

    @property
    def close_code(self) -> int | None:
        """The code of the close, as `WebSocketClosed.code`; None while the conversation goes on."""
        closed = self._call.closed
        return None if closed is None else closed[0]

    @property
    def close_reason(self) -> str | None:
        """The reason of the close; None while the conversation goes on."""
        closed = self._call.closed
        return None if closed is None else closed[1]

    def accept(self, subprotocol: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Accepts the client, with one of its `subprotocols` and with more headers (`Set-Cookie`, ...).

        Raises:
            ValueError: the client does not offer the subprotocol, or a header is the server's.
            RuntimeError: the client was accepted or rejected before.
        """
        if not self._call.accept(subprotocol, list((headers or {}).items())):
            raise RuntimeError("the client was accepted or rejected before: call accept() first")

    def reject(
        self, status: int = 403, body: str | bytes = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Refuses the client: its request is answered with this status and body, no WebSocket begins.

        Raises:
            ValueError: the status is none of an error or a redirect.
            RuntimeError: the client was accepted or rejected before.
        """
        data = body.encode() if isinstance(body, str) else body
        if not self._call.reject(status, data, list((headers or {}).items())):
            raise RuntimeError("the client was accepted or rejected before")

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Waits for the client's next message.

        Raises:
            WebSocketClosed: there will be none. What came before the close is received first.
            TimeoutError: there is none within `timeout` seconds.
        """
        call = self._call
        deadline = Deadline(timeout)
        while True:
            # In this order: what came before the close is there when the close is seen.
            closed = call.closed
            message = call.take()
            if message is not None:
                return message
            if closed is not None:
                raise WebSocketClosed(*closed)
            try:
                current_hub().wait_for(call.readable, deadline.left())
            except TimeoutError:
                if not deadline.is_over():
                    raise  # of a `puff.timeout` around this
                raise TimeoutError(f"no message within {timeout} s") from None

    def send(self, message: str | bytes) -> None:
        """Sends a text or a binary message.

        Returns when it is queued; waits first while more than `websocket_queue` bytes wait for the client. A
        `bytearray` or another buffer is sent as bytes.

        Raises:
            WebSocketClosed: the conversation is over.
            TypeError: it is no message.
        """
        call = self._call
        while not call.send(message):
            closed = call.closed
            if closed is not None:
                raise WebSocketClosed(*closed)
            current_hub().wait_for(call.writable)

    @property
    def connection_id(self) -> str:
        """The id of this client for pub-sub, which no other has.

        Publish with `publish_as` and it, and `echo=False` leaves out what the client published itself.
        """
        if self._connection_id is None:
            self._connection_id = native.new_connection_id()
        return self._connection_id

    def bind(
        self,
        channel: str,
        *,
        since: str | None = None,
        echo: bool = True,
        format: Literal["body", "json", "text"] = "body",
        gap: str | bytes | None = None,
        presence: bool = False,
    ) -> str:
        """Has the client receive what is published on `channel`, until `unbind` or the end, without Python.

        Whoever calls this has seen to it that the client may hear it. Returns when that is confirmed; from
        then on nothing is missed. Accepts the client then. What the function sends goes between the messages
        as it comes. A channel that is bound already gets the new options.

        Args:
            channel: its name.
            since: a position, of which what came later is sent first, as far as the channel keeps its
                messages.
            echo: whether the client receives what was published in the name of `connection_id`.
            format: what the client receives of a message. `body` is its body, as text if it is UTF-8, else as
                bytes. `json` is an object, `{"channel": ..., "position": ..., "from": ..., "data": ...}`,
                where `data` is the body, which is JSON; one that is not comes as a string, `text`, or as
                `base64` in its place. `text` is the same object with the body as a string, whatever it says.
            gap: what the client receives where messages may be missing: because it was too slow, because
                Redis was away, because the channel keeps too little. Without it that is `{"channel": ...,
                "gap": {"last": ..., "next": ..., "missed": ...}}` with `json` and `text`; with `body` the
                WebSocket is closed with 1013.
            presence: whether the client is told of who comes and goes, as well: `{"channel": ..., "joined":
                {"id": ..., "info": ...}}`, the same with `left`, and a gap with `"presence": true` where that
                may have been missed. Not with `body`.

        Returns:
            The position that the messages follow.

        Raises:
            WebSocketClosed: the conversation is over.
            ValueError: the channel, the position or the format is none, or `since` is given for a channel
                that is bound already.
            ConnectionError: Redis cannot be reached.
            TimeoutError: Redis does not answer.
        """
        if presence and format == "body":
            raise ValueError("presence is told as JSON: bind with format='json' or 'text'")
        how, begin = (format, presence), (since, echo)
        position: str | None = current_hub().wait_for(
            partial(self._call.bind, self.connection_id, channel, how, begin, gap)
        )
        if position is None:
            raise WebSocketClosed(*(self._call.closed or (1006, "")))
        return position

    def enter(self, channel: str, member: str | None = None, info: object = None) -> None:
        """Is on `channel` from now on, for all who ask who is there, until `leave` or the end.

        As `puff.pubsub.Connection.enter`, with the same arguments and errors; `channel` need not be bound.
        Accepts the client.

        Raises:
            WebSocketClosed: the conversation is over.
        """
        told = json.dumps(info, separators=(",", ":")).encode()
        name = self.connection_id if member is None else member
        if not current_hub().wait_for(partial(self._call.enter, self.connection_id, channel, name, told)):
            raise WebSocketClosed(*(self._call.closed or (1006, "")))

    def leave(self, channel: str) -> bool:
        """Is on `channel` no more; whether it was."""
        return current_hub().wait_for(partial(self._call.leave, channel))  # type: ignore[no-any-return]

    def unbind(self, channel: str) -> bool:
        """Sends nothing more of `channel`, also of what waits; False if it was not bound."""
        return self._call.unbind(channel)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the WebSocket after what was sent; nothing is received any more. A second time does nothing.

        Returns at once: the server sees to the closing handshake. A client that was not accepted is rejected.

        Raises:
            ValueError: the code may not be sent (1000 to 1003, 1007 to 1014, 3000 to 4999 may), or the reason
                has more than 123 bytes of UTF-8.
        """
        self._call.close(code, reason)

    def __iter__(self) -> Iterator[str | bytes]:
        """The client's messages until the conversation is over, however it ended: see `close_code`."""
        while True:
            try:
                yield self.receive()
            except WebSocketClosed:
                return

    def __repr__(self) -> str:
        return f"<WebSocket {self.path}{' closed' if self.closed else ''}>"


def handle(call: WebSocketCall) -> None:
    """Calls the function for one client. In a greenlet of its own."""
    if not call.begin(getcurrent()):
        return
    try:
        path = call.missing
        if path is not None:
            import_for(path)
        plain(call.function()(WebSocket(call), **call.params()))
    except GreenletExit:
        call.killed()
        raise
    except BaseException as error:
        # Also SystemExit: what a client can bring about must not end the server.
        if isinstance(error, WebSocketClosed) and call.closed is not None:
            call.returned()
            return
        call.failed()
        log.error("error in the function of %s", call, exc_info=error)
    else:
        call.returned()


# ------------------------------------------------------------------------ routes

_routes: dict[str, Callable[..., object]] = {}
"""What the decorator has seen. A module's body has nobody to hand it to: the server asks at its start."""


def websocket(path: str) -> Callable[[Function], Function]:
    """Serves WebSockets at `path` with the decorated function; in a module that the server imports.

    `{name}` in the path matches one segment, `{*name}` the rest; the function gets them as keyword arguments,
    after the `WebSocket`. `[websockets]` in `puff.toml` does the same without a decorator.

    Raises:
        ValueError: the path does not start with `/`, or another function has it.

    Example:
        >>> import puff
        >>> @puff.websocket("/rooms/{room}")
        ... def chat(ws, room):
        ...     ws.send(f"welcome to {room}")
    """
    if not path.startswith("/"):
        raise ValueError(f"the path of a WebSocket starts with /, unlike {path!r}")

    def register(function: Function) -> Function:
        other = _routes.get(path)
        if other is not None and other.__qualname__ != function.__qualname__:
            raise ValueError(f"{path!r} is served by {other.__qualname__} already")
        _routes[path] = function
        return function

    return register


def routes() -> list[tuple[str, Callable[..., object]]]:
    """All paths that decorated functions serve. For the native half, when a server starts."""
    return list(_routes.items())
