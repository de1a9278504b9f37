"""Answers for Django's views.

>>> from puff.contrib.django.http import EventStreamResponse
>>> from puff.web import event_stream
>>> def news(request):
...     return EventStreamResponse(event_stream("news"))
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import StreamingHttpResponse

from puff.web import EventStream

__all__ = ["EventStreamResponse"]


class EventStreamResponse(StreamingHttpResponse):  # type: ignore[misc]
    """An event stream with its headers, which the server sends without Python.

    Middleware that puts something else in the place of the content (that compresses it, for example) has it
    read in Python.
    """

    block_size = 4096
    """Of no use here: Django hands it to what `wsgi.file_wrapper` is."""

    def __init__(self, stream: EventStream, **options: Any) -> None:
        super().__init__(stream, **options)
        for name, value in stream.headers:
            self.headers[name] = value

    def _set_streaming_content(self, value: Iterable[Any]) -> None:
        # Django gives this to `wsgi.file_wrapper`, by which the server knows it; as in its FileResponse.
        self.file_to_stream = value if isinstance(value, EventStream) else None
        super()._set_streaming_content(value)
