"""One call of a Python function from Rust, in a greenlet of the hub; the native half takes its value."""

from __future__ import annotations

import importlib
from types import CoroutineType, ModuleType
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent

from ._greenlet import Greenlet, spawn
from ._hub import current_hub

if TYPE_CHECKING:
    from ._puff import FunctionCall


def run(call: FunctionCall) -> None:
    """Calls the function and hands over what it returns or raises."""
    try:
        arguments = call.begin(getcurrent())
        if arguments is None:
            return
        path = call.missing
        if path is not None:
            import_for(path)
        call.finish(plain(call.function()(*arguments)))
    except GreenletExit:
        call.killed()
        raise
    except BaseException as error:
        # Also SystemExit: Rust asked, and decides what it means.
        call.fail(error)


_imports: dict[str, Greenlet[ModuleType]] = {}
"""Imports under way. Python's own lock is a thread's: a second greenlet would get half a module."""


def import_for(path: str) -> None:
    """Imports the module of `path` here, where its body may wait. What is missing, `call.function` says."""
    module, colon, attribute = path.partition(":")
    if not colon:
        module, _, attribute = path.rpartition(".")
    if not module or not attribute:
        return
    running = _imports.get(module)
    if running is None:
        running = _imports[module] = spawn(importlib.import_module, module)
    try:
        running.join()
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise
    finally:
        if running.ready():
            _imports.pop(module, None)


def plain(value: Any) -> Any:
    """`value`, what a function returned; raises TypeError if that is a coroutine, which nobody would run."""
    if type(value) is CoroutineType:
        value.close()
        raise TypeError(
            f"{value.__qualname__} is a coroutine function; Puff calls plain functions, and those may wait"
        )
    return value


def cancel(call: FunctionCall) -> None:
    """Ends the call: the Rust future that waited for it is gone."""
    current_hub().call_in_hub(_kill, call)


def _kill(call: FunctionCall) -> None:
    # In the hub, as `raw.throw` must be. A worker that has gone on to other work is left alone.
    raw = call.worker
    if raw is not None:
        raw.throw(GreenletExit)
