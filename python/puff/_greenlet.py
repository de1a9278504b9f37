"""Greenlets: start functions side by side on one thread, wait for them, end them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from greenlet import GreenletExit, getcurrent, greenlet

from ._hub import current_hub, log
from ._limits import limits
from ._native import native

if TYPE_CHECKING:
    from ._puff import Alarm, Waiter

T = TypeVar("T")

_UNSET: Any = object()


class Greenlet(Generic[T]):
    """A function that runs beside others; made by `puff.spawn`.

    Usable from any thread. Whoever joins gets what the function returned, or the exception it raised.

    Example:
        >>> import puff
        >>> nap = puff.spawn(puff.sleep, 60, name="nap")
        >>> nap.ready()
        False
        >>> nap.kill()
    """

    __slots__ = (
        "__weakref__",
        "_args",
        "_context",
        "_error",
        "_function",
        "_joined",
        "_kwargs",
        "_links",
        "_raw",
        "_value",
        "_waiters",
        "name",
    )

    def __init__(
        self, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], name: str | None
    ) -> None:
        self.name: str = name or getattr(function, "__qualname__", None) or repr(function)
        self._function: Callable[..., T] | None = function
        self._args = args
        self._kwargs = kwargs
        self._context: contextvars.Context | None = contextvars.copy_context()
        self._raw: greenlet | None = None
        self._value: T = _UNSET
        self._error: BaseException | None = None
        self._joined = False
        self._waiters: list[Waiter | _Place[T]] | None = []
        self._links: list[Callable[[Greenlet[T]], object]] = []

    def __repr__(self) -> str:
        state = "finished" if self.ready() else "running" if self._raw is not None else "new"
        return f"<puff.Greenlet {self.name} {state}>"

    def _run(self) -> None:
        """The body, in a worker greenlet of the hub."""
        function = self._function
        if function is None:  # killed before it began
            return
        self._raw = getcurrent()
        self._raw.gr_context, self._context = self._context, None
        finish, args, kwargs = self._finish, self._args, self._kwargs
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            # Without this method's frame, which tells nothing.
            trace = error.__traceback__
            finish(_UNSET, error.with_traceback(trace.tb_next if trace is not None else None))
        else:
            finish(value, None)
        finally:
            # The error's frames lead back to this one, and through it would keep the greenlet for ever.
            del self, finish

    def _finish(self, value: T, error: BaseException | None) -> None:
        self._value, self._error = value, error
        self._function, self._args, self._kwargs, self._raw = None, (), {}, None
        waiters, self._waiters = self._waiters or [], None
        for waiter in waiters:
            waiter.offer(None)
        self._call_links()
        if isinstance(error, (KeyboardInterrupt, SystemExit)) and not self._joined:
            self._joined = True
            raise error

    def __del__(self) -> None:
        """Says what went wrong if nobody ever asked, and nobody can any more."""
        error = self._error
        if error is not None and not self._joined and not isinstance(error, GreenletExit):
            log.error("unhandled exception in greenlet %s", self.name, exc_info=error)

    def _call_links(self) -> None:
        while self._links:
            link = self._links.pop(0)
            try:
                link(self)
            except Exception:
                log.exception("a link of greenlet %s failed", self.name)

    def ready(self) -> bool:
        """Whether it has ended: returned, raised or was killed."""
        return self._waiters is None

    @property
    def value(self) -> T | None:
        """What the function returned; None while it runs, and if it did not return."""
        return None if self._value is _UNSET else self._value

    @property
    def exception(self) -> BaseException | None:
        """What it ended with if it did not return: the function's exception; `GreenletExit` after a kill."""
        self._joined = self._joined or self._waiters is None
        return self._error

    def link(self, callback: Callable[[Greenlet[T]], object]) -> None:
        """Calls `callback(greenlet)` when it ends, in a greenlet of the hub; soon if it has ended.

        An exception of the callback is logged. A greenlet with a link counts as joined: its own exception is
        the callback's business.

        Raises:
            TypeError: `callback` cannot be called.
        """
        check_function("link", callback)
        self._joined = True
        self._links.append(callback)
        if self._waiters is None:
            current_hub().spawn(Greenlet._call_links, self)

    def unlink(self, callback: Callable[[Greenlet[T]], object]) -> None:
        """Takes a `link` back; does nothing if there is none."""
        if callback in self._links:
            self._links.remove(callback)

    def join(self, timeout: float | None = None) -> T:
        """Waits until it has ended; returns its value.

        Args:
            timeout: seconds to wait at the most; None waits as long as it takes.

        Raises:
            TimeoutError: it still runs after `timeout` seconds. It goes on running.
            greenlet.GreenletExit: it was killed.
            RuntimeError: a greenlet joins itself.
            Exception: whatever the function raised.

        Example:
            >>> import puff
            >>> puff.spawn(sum, [1, 2, 3]).join()
            6
        """
        self._joined = True
        if self._waiters is not None:
            current_hub().wait_for(self._notify, timeout)
        if self._error is not None:
            raise self._error
        return self._value

    def _notify(self, waiter: Waiter | _Place[T]) -> None:
        """Completes `waiter` at the end; called by who is going to wait."""
        if self._raw is getcurrent():
            raise RuntimeError(f"greenlet {self.name} cannot join itself")
        waiters = self._waiters
        if waiters is not None:
            waiters.append(waiter)
        # Another thread may see the end between the test and the append; a second completion is ignored.
        if self._waiters is None:
            waiter.offer(None)

    def kill(self) -> None:
        """Raises `greenlet.GreenletExit` in it, wherever it waits, and returns at once.

        What it waited for is dropped. Killing a greenlet that has ended does nothing.
        """
        if self._waiters is None:
            return
        hub = current_hub()
        if self._raw is None and hub.on_thread():
            self._finish(_UNSET, GreenletExit())  # it has not begun, and now never will
        else:
            hub.call_in_hub(_kill, self)


def _kill(target: Greenlet[Any]) -> None:
    # In the hub: the killed greenlet's parent is the hub, so control comes back here.
    if target._waiters is None:
        return
    raw = target._raw
    if raw is None:
        target._finish(_UNSET, GreenletExit())
    else:
        raw.throw(GreenletExit)


def spawn(function: Callable[..., T], /, *args: Any, name: str | None = None, **kwargs: Any) -> Greenlet[T]:
    """Runs `function(*args, **kwargs)` as a greenlet; from any thread.

    Args:
        function: what to run, in a copy of the caller's context variables.
        name: what logs and `puff.debug` call it; the function's own name otherwise. A function that takes
            an argument `name` itself gets it by `functools.partial`.

    Returns:
        The greenlet; `join` it for the value.

    Raises:
        TypeError: `function` cannot be called.

    Example:
        >>> import puff
        >>> sorted(puff.join_all([puff.spawn(pow, 2, n) for n in range(4)]))
        [1, 2, 4, 8]
    """
    check_function("spawn", function)
    started = Greenlet(function, args, kwargs, name)
    current_hub().spawn(Greenlet._run, started)
    return started


def check_function(caller: str, function: object) -> None:
    """Raises TypeError, in the name of `caller`, for what a greenlet cannot run."""
    if not callable(function):
        raise TypeError(f"{caller} needs a function, not {type(function).__name__}")
    if _is_async(function):
        raise TypeError(
            f"{caller} needs a plain function; {getattr(function, '__qualname__', function)} is a coroutine "
            "function: greenlets wait without async and await (asyncio.run runs it in a thread of its own)"
        )


def _is_async(function: Callable[..., object]) -> bool:
    # What is nearly always spawned is looked at here: asking `inspect` takes five times as long or more.
    if type(function) is MethodType:
        function = function.__func__
    if type(function) is FunctionType:
        return bool(function.__code__.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR))
    if type(function) is BuiltinFunctionType:
        return False
    return any(
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
        for each in (function, type(function).__call__)
    )


def check_seconds(caller: str, seconds: float) -> None:
    """Raises TypeError or ValueError, in the name of `caller`, for what is no length of time."""
    try:
        fits = seconds >= 0
    except TypeError:
        raise TypeError(f"{caller} needs a number of seconds, not {type(seconds).__name__}") from None
    if not fits:
        raise ValueError(f"{caller} needs a number of seconds from 0 on, not {seconds!r}")


def run_in_hub(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Calls `function` in a greenlet of the hub and waits for its value; from any thread.

    Example:
        >>> import puff
        >>> puff.run_in_hub(max, 1, 2)
        2
    """
    check_function("run_in_hub", function)
    return spawn(function, *args, **kwargs).join()


async def aio(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Runs `function` as a greenlet and awaits its value, from a running asyncio loop on another thread.

    If the awaiting task is cancelled, the greenlet is killed.

    Raises:
        RuntimeError: `function` raised StopIteration, which `await` cannot raise; all else is raised as is.

    Example:
        >>> import asyncio, puff
        >>> def program_with_a_loop():
        ...     return asyncio.run(puff.aio(pow, 2, 10))
        >>> puff.spawn_blocking(program_with_a_loop)
        1024
    """
    check_function("aio", function)
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(ended: Greenlet[T]) -> None:
        if future.done():
            return
        error = ended.exception
        if error is None:
            future.set_result(ended.join())
        elif isinstance(error, GreenletExit):
            future.cancel()
        elif isinstance(error, StopIteration):  # which a future does not take, nor `await` raise
            wrapped = RuntimeError("the function of aio() raised StopIteration")
            wrapped.__cause__ = error
            future.set_exception(wrapped)
        else:
            future.set_exception(error)

    def tell(ended: Greenlet[T]) -> None:
        with contextlib.suppress(RuntimeError):  # a loop that is closed has nobody who waits
            loop.call_soon_threadsafe(finish, ended)

    started = spawn(function, *args, **kwargs)
    started.link(tell)
    try:
        return await future
    except asyncio.CancelledError:
        started.kill()
        raise


def join_all(greenlets: Iterable[Greenlet[T]]) -> list[T]:
    """Waits for all of them; their values in the same order. Raises the first one's exception, if any.

    Example:
        >>> import puff
        >>> puff.join_all([puff.spawn(pow, 2, n) for n in range(4)])
        [1, 2, 4, 8]
    """
    return [each.join() for each in list(greenlets)]


def join_iter(greenlets: Iterable[Greenlet[T]]) -> Iterator[T]:
    """Their values as they end: first those that have ended already, then each when it does.

    Raises a greenlet's exception when its turn comes.

    Example:
        >>> import puff
        >>> def nap(seconds):
        ...     puff.sleep(seconds)
        ...     return seconds
        >>> list(puff.join_iter([puff.spawn(nap, 0.5), puff.spawn(nap, 0.01)]))
        [0.01, 0.5]
    """
    line: _Line[T] = _Line()
    expected = list(greenlets)
    for each in expected:
        line.expect(each)
    for _ in range(len(expected)):
        yield line.next().join()


class _Line(Generic[T]):
    """Greenlets in the order in which they end. They may do so on another thread than who waits for them."""

    def __init__(self) -> None:
        self._ended: deque[Greenlet[T]] = deque()
        self._waiter: Waiter | None = None

    def expect(self, greenlet: Greenlet[T]) -> None:
        """Has it stand in line once it has ended."""
        greenlet._joined = True
        greenlet._notify(_Place(self, greenlet))

    def enter(self, greenlet: Greenlet[T]) -> None:
        """It has ended."""
        self._ended.append(greenlet)
        waiter = self._waiter
        if waiter is not None:
            waiter.offer(None)

    def next(self) -> Greenlet[T]:
        """Waits for the one that is first in line."""
        # Again if need be: on another thread, one that has ended may be taken before it has told so, and then
        # tells the next wait.
        while not self._ended:
            current_hub().wait_for(self._wait)
        self._waiter = None
        return self._ended.popleft()

    def _wait(self, waiter: Waiter) -> None:
        self._waiter = waiter
        # In this order: one that ends now either sees the waiter, or is seen here.
        if self._ended:
            waiter.offer(None)


class _Place(Generic[T]):
    """What a greenlet completes at its end, as it does the waiters of those who join it."""

    def __init__(self, line: _Line[T], greenlet: Greenlet[T]) -> None:
        self._line = line
        self._greenlets = [greenlet]

    def offer(self, _: None) -> None:
        """The greenlet has ended; a second time is ignored."""
        with contextlib.suppress(IndexError):
            self._line.enter(self._greenlets.pop())


def sleep(seconds: float) -> None:
    """Waits `seconds`; other greenlets run meanwhile. Zero lets the others run once.

    Raises:
        TypeError: `seconds` is no number.
        ValueError: `seconds` is negative or NaN.

    Example:
        >>> import puff
        >>> puff.sleep(0.01)
    """
    check_seconds("sleep", seconds)
    hub = current_hub()
    if seconds:
        hub.sleep(seconds)
    else:
        hub.give_way()


def sleep_ms(milliseconds: float) -> None:
    """`sleep` in milliseconds.

    Example:
        >>> import puff
        >>> puff.sleep_ms(10)
    """
    sleep(milliseconds / 1000)


@overload
def wrap_async(
    start: Callable[[Any], object], *, join: Literal[True] = True, timeout: float | None = None
) -> Any: ...
@overload
def wrap_async(
    start: Callable[[Any], object], *, join: Literal[False], timeout: float | None = None
) -> Greenlet[Any]: ...
def wrap_async(start: Callable[[Any], object], *, join: bool = True, timeout: float | None = None) -> Any:
    """Begins Rust work and waits for its value.

    Args:
        start: called with a `return_func`; hands it to the native function that starts the work
            (`puff_rs::greenlet_async`), which completes it. `return_func(value)` does so from Python, once.
        join: False returns a `Greenlet` at once, to join later.
        timeout: seconds to wait at the most. The Rust work is dropped then.

    Returns:
        The value; raises what the Rust future returned as an error.

    Raises:
        TimeoutError: there was no result in time.
        TypeError: `start` cannot be called.
        RuntimeError: `return_func` was dropped without being called, or called twice.

    Example:
        >>> import puff
        >>> puff.wrap_async(lambda return_func: return_func(42))
        42
    """
    check_function("wrap_async", start)
    if not join:
        return spawn(wrap_async, start, timeout=timeout, name=getattr(start, "__qualname__", None))
    return current_hub().wait_for(lambda waiter: start(native.ReturnFunc(waiter)), timeout)


class timeout:
    """Context manager: what runs longer than `seconds` inside it gets a TimeoutError where it waits.

    Blocks nest; each raises its own error, at the greenlet (or thread) that entered it. Code that computes
    without ever waiting is not interrupted.

    Args:
        seconds: how long the block may take.

    Raises:
        TypeError: `seconds` is no number.
        ValueError: `seconds` is negative or NaN.

    Example:
        >>> import puff
        >>> try:
        ...     with puff.timeout(0.01):
        ...         puff.sleep(60)
        ... except TimeoutError as error:
        ...     print(error)
        the block took longer than 0.01 s
    """

    def __init__(self, seconds: float) -> None:
        check_seconds("timeout", seconds)
        self.seconds = seconds
        self.deadline = 0.0
        self.error = TimeoutError(f"the block took longer than {seconds:g} s")
        self._alarm: Alarm | None = None

    def __enter__(self) -> timeout:
        hub = current_hub()
        if hub.on_thread():
            self._alarm = hub.native.call_later(self.seconds, self._fire, getcurrent())
        else:
            self.deadline = time.monotonic() + self.seconds
            limits.of_thread.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        else:
            limits.of_thread.remove(self)

    def _fire(self, target: greenlet) -> None:
        # The block may have been left in the same batch, too late to cancel: its greenlet then does other
        # things, perhaps for somebody else.
        if self._alarm is not None and not target.dead:
            target.throw(self.error)
