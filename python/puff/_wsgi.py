"""WSGI (PEP 3333): one request, one greenlet. The native half made the request and sends the response."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent

from ._event_stream import EventStream
from ._hub import current_hub
from ._native import native

if TYPE_CHECKING:
    from ._puff import WsgiInput, WsgiRequest

log = logging.getLogger("puff.wsgi")

WsgiApp = Callable[[dict[str, Any], Any], Any]


def handler(
    app: WsgiApp, kill_gone: bool, fail: Callable[[WsgiRequest, BaseException], None] | None = None
) -> Callable[[WsgiRequest], None]:
    """What the hub calls for each request to `app`, which with `kill_gone` ends when its client goes.

    `fail` answers a request whose application raised; without it that is a bare 500.
    """

    def handle(request: WsgiRequest) -> None:
        try:
            result = app(request.environ, request)
            kind = type(result)
            # Most applications return a list of one piece; it is sent in one go.
            if (kind is not list and kind is not tuple) or not request.respond(result):
                _send(request, result)
        except native.ClientGone:
            request.abort()  # nobody is left to answer
        except native.RequestBodyError as error:
            request.abort()  # the client's fault, and told so
            log.warning("%s: %s", request, error)
        except GreenletExit:
            request.abort()
            raise
        except BaseException as error:
            # Also SystemExit: what a client can bring about must not end the server. After the headers the
            # abort cuts the connection, so that the client sees that the body is not whole.
            _begin_at_users_code(error)
            if fail is None:
                request.abort()
            else:
                fail(request, error)
            extra = {"wsgi_request": request}
            log.error("error in the WSGI application for %s", request, exc_info=error, extra=extra)

    def handle_while_wanted(request: WsgiRequest) -> None:
        if request.begin(getcurrent()):
            handle(request)

    return handle_while_wanted if kill_gone else handle


def _begin_at_users_code(error: BaseException) -> None:
    """Takes our frames off the beginning of the traceback, unless there are no others."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace


def _send(request: WsgiRequest, result: Any) -> None:
    try:
        if type(result) not in (FileWrapper, EventStream) or not result.send(request):
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


class FileWrapper:
    """The `wsgi.file_wrapper` of PEP 3333: a regular file is sent by Tokio, from where it stands.

    So is an event stream. Other things with a `read` are read here, `block_size` bytes at a time.
    """

    def __init__(self, filelike: Any, block_size: int = 8192) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        if data := self.filelike.read(self.block_size):
            return data  # type: ignore[no-any-return]
        raise StopIteration

    def send(self, request: WsgiRequest) -> bool:
        """Sends the file whole; False if it is none that Rust may read."""
        if type(self.filelike) is EventStream:
            return self.filelike.send(request)
        # Temporary files are wrapped by objects that pass everything on.
        file = getattr(self.filelike, "file", self.filelike)
        # Only these: a GzipFile has a descriptor too, and it is not of what `read` gives.
        if type(file) not in (io.BufferedReader, io.BufferedRandom, io.FileIO):
            return False
        # Nor is what a wrapper with a `read` of its own makes of the file.
        read = getattr(self.filelike, "read", None)
        if getattr(read, "__wrapped__", read) != file.read:
            return False
        try:
            file.flush()
            descriptor, position = file.fileno(), file.tell()
        except (OSError, ValueError):
            return False  # closed, or without positions: reading says what is wrong, if anything
        if not request.open_file(descriptor, position):
            return False
        current_hub().wait_for(request.file_sent)
        return True


class Input(io.BufferedIOBase):
    """The `wsgi.input` of a request whose body is still on its way.

    A read that finds too little waits for the client: on the hub other greenlets run meanwhile, on another
    thread the thread blocks. So is a client held back that sends faster than the application reads.

    Raises:
        OSError: the body broke off, is larger than `max_body` or slower than `body_timeout`. An application
            that lets this through answers 400, 413 or 408.
        ValueError: the request was answered before.
    """

    def __init__(self, body: WsgiInput) -> None:
        self._body = body

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """`size` bytes, or all up to the end; fewer only at the end."""
        wanted = -1 if size is None else size
        while (data := self._body.take(wanted)) is None:
            current_hub().wait_for(partial(self._body.fill, wanted))
        return data

    def read1(self, size: int = -1, /) -> bytes:
        """What is there, once there is something; at most `size` bytes. Empty at the end only."""
        while (data := self._body.take_some(size)) is None:
            current_hub().wait_for(partial(self._body.fill, 1))
        return data

    def readinto(self, buffer: Any, /) -> int:
        """Fills `buffer`; returns how many bytes there were, fewer than fit only at the end."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def readinto1(self, buffer: Any, /) -> int:
        """What is there into `buffer`, once there is something; how many bytes that are."""
        view = memoryview(buffer).cast("B")
        data = self.read1(len(view))
        view[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1, /) -> bytes:
        """A line with its end, at most `size` bytes of it; empty at the end."""
        wanted = -1 if size is None else size
        while (data := self._body.take_line(wanted)) is None:
            current_hub().wait_for(partial(self._body.fill, 0))
        return data

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """The lines that are left; only as many as make up `hint` bytes, if that is positive."""
        lines: list[bytes] = []
        length = 0
        for line in self:
            lines.append(line)
            length += len(line)
            if hint is not None and 0 < hint <= length:
                break
        return lines

    def __next__(self) -> bytes:
        if line := self.readline():
            return line
        raise StopIteration
