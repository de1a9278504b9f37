"""One request to `python_handler` of Rust: calls the function in a greenlet, and reads what it returns."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, TypeAlias

from ._call import import_for
from .web import BadRequest, Request

log = logging.getLogger("puff.web")

Answer: TypeAlias = "tuple[int, list[tuple[str, str]], bytes]"

_FORMS = "a handler returns str, bytes, a dict or list for JSON, or (status, headers, body)"
_functions: dict[str, Callable[[Request], Any]] = {}


def answer(
    path: str,
    method: str,
    target: tuple[str, str],
    path_params: list[tuple[str, str]],
    headers: list[tuple[str, str]],
    body: bytes,
) -> Answer:
    """Calls the function at `path`. Whatever it does, there is an answer; what is wrong with it is logged."""
    request = Request(method, target, path_params, headers, body)
    try:
        function = _functions.get(path) or _find(path)
        return _read(path, function(request))
    except BadRequest as error:
        return _plain(400, str(error))
    except Exception as error:
        log.error("error in %s for %s %s", path, method, target[0], exc_info=error)
    except SystemExit as error:
        # What a client can bring about must not end the server.
        log.error("%s called sys.exit() for %s %s", path, method, target[0], exc_info=error)
    return _plain(500, "internal server error")


def _find(path: str) -> Callable[[Request], Any]:
    import_for(path)
    module, colon, attribute = path.partition(":")
    if not colon:
        module, _, attribute = path.rpartition(".")
    if not module or not attribute:
        raise LookupError(f"{path!r} does not name a Python function: write pkg.module:function")
    if module not in sys.modules:
        raise LookupError(f"no Python module {module!r}: does its folder lie on sys.path?")
    function: Any = reduce(getattr, attribute.split("."), sys.modules[module])
    if not callable(function):
        raise TypeError(f"{path} is no function but {type(function).__qualname__}")
    _functions[path] = function
    return function  # type: ignore[no-any-return]


def _read(path: str, value: Any) -> Answer:
    status: Any = 200
    headers: Any = {}
    if isinstance(value, tuple):
        if len(value) != 3:
            raise TypeError(f"{path} returned a tuple of {len(value)}; {_FORMS}")
        status, headers, value = value
        if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
            raise TypeError(f"{path} returned the status {status!r}; it is a number from 200 to 599")
    pairs = _pairs(path, headers)
    content, kind = _content(path, value)
    if not any(name.lower() == "content-type" for name, _ in pairs) and (content or kind != _TEXT):
        pairs.append(("content-type", kind))
    return int(status), pairs, content


def _pairs(path: str, headers: Any) -> list[tuple[str, str]]:
    entries = headers.items() if isinstance(headers, Mapping) else headers
    pairs = []
    if not isinstance(headers, (Mapping, list, tuple)):
        raise TypeError(f"{path} returned headers of type {type(headers).__qualname__}, not a dict or a list")
    for entry in entries:
        match entry:
            case (str() as name, str() as value):
                pairs.append((name, value))
            case _:
                raise TypeError(f"{path} returned the header {entry!r}; it is a pair of str")
    return pairs


_TEXT = "text/plain; charset=utf-8"


def _content(path: str, value: Any) -> tuple[bytes, str]:
    if isinstance(value, str):
        return value.encode(), _TEXT
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value), "application/octet-stream"
    if isinstance(value, (dict, list)):
        # As compact as JSON can be, and none of the numbers that it cannot have.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode(), "application/json"
    if hasattr(value, "__await__"):
        close = getattr(value, "close", None)
        if close is not None:
            close()
        raise TypeError(f"{path} is a coroutine function; handlers are plain functions, and those may wait")
    raise TypeError(f"{path} returned {type(value).__qualname__}; {_FORMS}")


def _plain(status: int, text: str) -> Answer:
    return status, [("content-type", _TEXT)], f"{text}\n".encode()
