"""What a Python function behind a route in Rust gets; and event streams, for WSGI applications.

With `python_handler("shop.api:create")` in Rust:

>>> def create(request: Request) -> dict[str, object]:
...     order = request.json()
...     return {"shop": request.path_params["shop"], "items": len(order["items"])}
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, unquote

from ._event_stream import EventStream, event_stream

__all__ = ["BadRequest", "EventStream", "Request", "event_stream"]


class BadRequest(ValueError):
    """The client is to blame: a handler that raises this, or lets it through, answers 400 with its text."""


class Request:
    """A request to a handler; its body has been read."""

    method: str
    """`GET`, `POST`..., in capitals."""

    path: str
    """The path of the URL with its escapes resolved, as UTF-8."""

    path_params: dict[str, str]
    """The parts of the path that the route names, `{id}`, with their escapes resolved."""

    query_string: str
    """What comes after the question mark, as it was sent."""

    headers: dict[str, str]
    """By their names in lower case. Several of one name are joined with commas, cookies with semicolons."""

    body: bytes
    """The whole body."""

    def __init__(
        self,
        method: str,
        target: tuple[str, str],
        path_params: list[tuple[str, str]],
        headers: list[tuple[str, str]],
        body: bytes,
    ) -> None:
        self.method = method
        self.path = unquote(target[0], errors="replace")
        self.query_string = target[1]
        self.path_params = dict(path_params)
        self.body = body
        self.headers = {}
        for name, value in headers:
            before = self.headers.get(name)
            if before is not None:
                value = f"{before}{'; ' if name == 'cookie' else ', '}{value}"
            self.headers[name] = value

    @cached_property
    def query_lists(self) -> dict[str, list[str]]:
        """The parameters of the query, each with all its values."""
        return parse_qs(self.query_string, keep_blank_values=True, errors="replace")

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters of the query; of several with one name, the last."""
        return {name: values[-1] for name, values in self.query_lists.items()}

    def text(self) -> str:
        """The body as UTF-8.

        Raises:
            BadRequest: it is not UTF-8.
        """
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            raise BadRequest("the body is not UTF-8") from None

    def json(self) -> Any:
        """What the body says in JSON.

        Raises:
            BadRequest: it is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise BadRequest("the body is not JSON") from None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"
