"""The hub: the one thread that runs every greenlet of a program.

The native reactor collects what Tokio's threads finished; the hub takes it in batches and resumes or
starts a greenlet for each. It is Python and not Rust because a greenlet must never be parked with native
frames on its stack: a native call *starts* an operation and returns, then Python switches to the hub.

Worker greenlets are reused: making one costs several microseconds (each maps and unmaps a block of stack),
taking an idle one a fraction of that.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent, greenlet

from ._outside import ENDED, Outside

if TYPE_CHECKING:
    from ._puff import NativeHub, Waiter

log = logging.getLogger("puff")

_Job = tuple[Callable[[Any], object], Any]
"""A function and its one argument, for a greenlet of its own."""

_MAX_IDLE = 1024
"""How many idle worker greenlets are kept; each holds a few KiB."""

_IN_HUB = (
    "this code runs in the hub itself (a signal handler or a finaliser) and may not wait; "
    "use puff.spawn to do it in a greenlet"
)

_START = object()
"""Tells a worker to take a job."""

_GO_ON = 32
"""After so many greenlets that went on, one begins, though others could go on as well."""
_BEGIN_SECONDS = 0.0002
"""For how long jobs are begun before the hub looks what there is to go on with."""

_STOP_SECONDS = 2.0
"""How long the greenlets get to clean up when the program ends."""
_STOP_LOOKS = 10


class Worker(greenlet):  # type: ignore[misc]
    """A greenlet of the hub: runs one job after the other."""

    __slots__ = ("puff_job", "puff_storage")

    puff_job: _Job | None
    """The function and argument that it runs; None while it is idle."""
    puff_storage: Any
    """The job's local storage (`puff._local`), made on first use."""


class Hub:
    """Runs greenlets on the thread that calls `run`. Others reach it through `current_hub`."""

    def __init__(self, native: NativeHub) -> None:
        self.native = native
        self.greenlet: greenlet | None = None
        self.thread: int | None = None
        """The identifier of the hub's thread, while it runs."""
        self.stopped = threading.Event()
        """Set when `run` has returned."""
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._jobs: deque[_Job] = deque()
        """The jobs of this batch that no worker has begun."""
        self._outside = Outside(native, self.stopped)
        self._gone_on = 0
        """How many greenlets have gone on since one began."""
        self._starting = False
        """Whether a greenlet runs because a job was to begin, and not because its wait has ended."""
        self._stopping = False

    # ---------------------------------------------------------------- the loop

    def run(self) -> None:
        """Runs until `stop` is called; then ends the greenlets that are left."""
        self.greenlet = getcurrent()
        self.thread = threading.get_ident()
        try:
            self._loop(lambda: self._stopping)
            self._end_workers()
        finally:
            self.thread = None
            self.stopped.set()
            self._outside.end()

    def _loop(self, finished: Callable[[], bool]) -> None:
        wait, look = self.native.wait, self.native.look
        jobs = self._jobs
        events: Iterator[tuple[Any, Any]] = iter(())
        count = 0
        while True:
            try:
                # What has begun goes first: requests that all begin at once end late all of them, and what
                # they hold meanwhile grows old in Python's collector.
                if jobs and (count == 0 or self._gone_on >= _GO_ON):
                    self._gone_on = 0
                    self._start()
                self._starting = False
                for target, payload in events:
                    if target is None:
                        payload[0](payload[1])
                    else:
                        # The waiter itself is the message: a greenlet that has gone on to another wait
                        # meanwhile sees that this one is stale.
                        target.switch(payload)
                target = payload = None  # what has ended must not live on while the hub sleeps
                # Also where jobs are left: each may begin others, for ever.
                if finished():
                    return
                batch, begun = look() if jobs else wait()
                jobs.extend(begun)
                count = len(batch)
                self._gone_on += count
                events = iter(batch)
                del batch, begun  # likewise
            except BaseException as error:
                # Nothing here raises by itself: this is a signal handler of the program's, which came while
                # the hub itself ran. The rest of the batch is still to be done.
                self._raised_in_hub(error)

    def _raised_in_hub(self, error: BaseException) -> None:
        """Python raises what a signal handler raises in the main thread; here that is the main greenlet."""
        if _root is None:
            log.error("unhandled exception in the hub", exc_info=error)
        else:
            interrupt_root(error)

    def stop(self) -> None:
        """Makes `run` return; from any thread."""
        self._stopping = True
        self.native.wake()

    def _start(self) -> None:
        """Begins jobs; those that wait soon together, for a look after each costs a tenth of what they do."""
        self._starting = True
        until = time.monotonic() + _BEGIN_SECONDS
        while self._jobs:
            worker = self._idle.pop() if self._idle else Worker(self._work, self.greenlet)
            # It takes the job itself: an argument would live here for as long as the worker is at it.
            worker.switch(_START)
            if time.monotonic() >= until:
                return

    def _work(self, start: object) -> None:
        """The body of a worker greenlet: one job after the other."""
        me = getcurrent()
        hub = self.greenlet
        assert hub is not None
        assert isinstance(me, Worker)
        idle, busy, jobs, switch = self._idle, self._busy, self._jobs, hub.switch
        busy.add(me)
        while True:
            job: Any = jobs.popleft()
            function, argument = me.puff_job = job
            me.puff_storage = None
            try:
                function(argument)
            except GreenletExit:
                pass
            except BaseException as error:
                self._unhandled(function, error)
            # None is an empty context, which Python makes when it is written to.
            job = function = argument = me.puff_job = me.puff_storage = me.gr_context = None
            if jobs and self._starting:
                # Most jobs do not wait. The next one of the batch saves the way to the hub and back.
                continue
            busy.discard(me)
            if self._stopping or len(idle) >= _MAX_IDLE:
                return
            idle.append(me)
            while switch() is not _START:  # a stale waiter: this greenlet's last job was killed in its wait
                pass
            busy.add(me)

    def _unhandled(self, function: object, error: BaseException) -> None:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            interrupt_root(error)
            return
        log.error("unhandled exception in %r", function, exc_info=error)

    def _end_workers(self) -> None:
        """Raises GreenletExit in each greenlet that still runs, once, and gives them a moment to clean up.

        Cleaning up may wait, so the loop goes on meanwhile; what is started now is not begun any more. Who
        has not ended by then is left behind.
        """
        assert self.greenlet is not None
        told: set[Worker] = set()
        deadline = time.monotonic() + _STOP_SECONDS
        looks = 0
        # Some looks at least: the time is over too if it is the machine that stood still.
        while self._busy and (time.monotonic() < deadline or looks < _STOP_LOOKS):
            looks += 1
            for worker in self._busy - told:
                told.add(worker)
                worker.throw(GreenletExit)
            if not self._busy:
                break
            # Looked at again soon, even if nothing happens: the deadline has to be seen.
            self.native.wake_after(self.native.waiter(self.greenlet), 0.05)
            try:
                events, _ = self.native.wait()
            except BaseException as error:
                self._raised_in_hub(error)
                continue
            for target, payload in events:
                if target is None:
                    payload[0](payload[1])
                elif target is not self.greenlet:
                    target.switch(payload)
        self._busy.clear()
        self._idle.clear()

    # ---------------------------------------------------------------- for greenlets

    def on_thread(self) -> bool:
        """Whether the calling thread is this hub's."""
        return threading.get_ident() == self.thread

    def workers(self) -> list[Worker]:
        """The greenlets that have a job, waiting or running."""
        return list(self._busy)

    def count_workers(self) -> int:
        """How many greenlets have a job, waiting or running."""
        return len(self._busy)

    def spawn(self, function: Callable[[Any], object], argument: Any) -> None:
        """Starts `function(argument)` in a greenlet; from any thread."""
        self.native.call_soon(function, argument)

    def call_in_hub(self, function: Callable[[Any], object], argument: Any) -> None:
        """Calls `function(argument)` in the hub itself, where it may switch but not wait; from any thread."""
        self.native.call_in_hub(function, argument)

    def wait_for(
        self,
        start: Callable[[Waiter], object],
        timeout: float | None = None,
        lost: Callable[[Any], object] | None = None,
    ) -> Any:
        """Starts work with `start(waiter)` and waits for its result.

        On the hub's thread the calling greenlet is parked and others run; on any other thread the
        thread blocks, detached. `lost` is called with a result that came but could not be taken any more,
        because the greenlet was killed between the two.

        Raises:
            TimeoutError: there was no result after `timeout` seconds.
            RuntimeError: the hub itself would wait, which would stop every greenlet; or a thread waits and
                the program ends.
        """
        if threading.get_ident() != self.thread:
            return self._outside.wait_for(start, timeout)
        me = getcurrent()
        hub = self.greenlet
        if me is hub or hub is None:
            raise RuntimeError(_IN_HUB)
        waiter = self.native.waiter(me)
        try:
            start(waiter)
            return self._park(hub, waiter, timeout)
        except BaseException:
            # A killed greenlet, or a time-out: the Rust work behind this wait is dropped.
            _give_up(waiter, lost)
            raise

    def sleep(self, seconds: float) -> None:
        """`wait_for` the time, without its function: that and its cells are four objects for Python's
        collector, which thousands of greenlets that sleep keep busy.
        """
        if threading.get_ident() != self.thread:
            self._outside.sleep(seconds)
            return
        me = getcurrent()
        hub = self.greenlet
        if me is hub or hub is None:
            raise RuntimeError(_IN_HUB)
        waiter = self.native.sleeper(me, seconds)
        try:
            while hub.switch() is not waiter:
                pass
        except BaseException:
            waiter.cancel()
            raise
        waiter.take()

    def give_way(self) -> None:
        """Lets other greenlets run once, one as well that has not begun."""
        self._gone_on = _GO_ON
        self.wait_for(_resume)

    def waiter(self) -> Waiter:
        """A waiter for the calling greenlet, which is on the hub's thread.

        Raises:
            RuntimeError: the caller is the hub itself.
        """
        me = getcurrent()
        if me is self.greenlet:
            raise RuntimeError(_IN_HUB)
        return self.native.waiter(me)

    def park(self, waiter: Waiter) -> Any:
        """The wait of a greenlet for what it has started with its `waiter`; its result.

        If that is all there is to do for the hub, the greenlet sleeps in its place and saves the way there.
        """
        if not self._stopping and self.native.wait_alone(waiter):
            return waiter.take()
        hub = self.greenlet
        assert hub is not None
        while hub.switch() is not waiter:
            pass
        return waiter.take()

    def _park(self, hub: greenlet, waiter: Waiter, timeout: float | None) -> Any:
        if timeout is None:
            while hub.switch() is not waiter:
                pass
            return waiter.take()
        alarm = self.native.waiter(getcurrent())
        self.native.wake_after(alarm, timeout)
        try:
            while (woken := hub.switch()) is not waiter:
                if woken is alarm and not waiter.ready():
                    raise TimeoutError(f"not finished within {timeout} s")
            return waiter.take()
        finally:
            alarm.cancel()


def _resume(waiter: Waiter) -> None:
    """Puts the greenlet that waits at the end of the hub's queue: cheaper than a timer that is due."""
    waiter.offer(None)


def _give_up(waiter: Waiter, lost: Callable[[Any], object] | None) -> None:
    result = waiter.cancel()
    if result is not None and lost is not None:
        lost(result[0])


# ------------------------------------------------------------------------ the process's hub

_hub: Hub | None = None
_root: greenlet | None = None
_ended = False
_start_lock = threading.Lock()


def current_hub() -> Hub:
    """The hub of this process; the first use outside a running program starts one in the background.

    Raises:
        RuntimeError: there was one, and it has ended with its program.
    """
    hub = _hub
    if hub is None:
        with _start_lock:
            if _hub is None:
                if _ended:
                    raise RuntimeError(ENDED)
                from ._native import native

                native.start_background()
            hub = _hub
            assert hub is not None
    return hub


def running() -> bool:
    """Whether a hub runs in this process."""
    return _hub is not None


def _run(native: NativeHub, root: Callable[[], object]) -> int:
    """Runs `root` as the main greenlet of this thread's hub; returns the exit status."""
    global _hub, _root, _ended
    hub = Hub(native)
    status: list[int] = [1]

    def main(_: object) -> None:
        global _root
        _root = getcurrent()
        try:
            status[0] = exit_status(root)
        finally:
            _root = None
            hub.stop()

    _hub = hub
    try:
        hub.spawn(main, None)
        hub.run()
    finally:
        _hub, _ended = None, True
    return status[0]


def run_main(native: NativeHub, function: Callable[..., object], args: tuple[Any, ...]) -> int:
    """A Python program: `function(*args)` is the main greenlet. The Rust half calls it on the main thread."""
    with _signals(native, _raise_in_root):
        return _run(native, lambda: function(*args))


def run_background(native: NativeHub) -> None:
    """A hub on a daemon thread of its own; returns when it runs. Called by the Rust half, lazily."""
    global _hub
    hub = Hub(native)
    ready = threading.Event()

    def body() -> None:
        hub.spawn(lambda _: ready.set(), None)
        hub.run()

    thread = threading.Thread(target=body, name="puff-hub", daemon=True)
    thread.start()
    if not ready.wait(30):
        raise RuntimeError("the hub's thread did not start within 30 s")
    _hub = hub

    import atexit

    @atexit.register
    def end() -> None:
        global _hub, _ended
        _hub, _ended = None, True
        hub.stop()
        thread.join(5)


def exit_status(function: Callable[[], object]) -> int:
    """Calls `function`; its result as an exit status: None is 0, an int itself, an exception 1 (printed)."""
    try:
        result = function()
    except SystemExit as error:
        return _exit_code(error.code)
    except KeyboardInterrupt:
        return 130
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


# ------------------------------------------------------------------------ signals


def interrupt_root(error: BaseException) -> None:
    """Raises `error` in the main greenlet, wherever it waits."""
    root, hub = _root, _hub
    if root is None or hub is None:
        return
    if getcurrent() is root:
        raise error
    hub.call_in_hub(_throw_at_root, error)


def _throw_at_root(error: BaseException) -> None:
    root = _root
    if root is not None and not root.dead:
        root.throw(error)


_asked: int | None = None
"""The last signal that asked the program to end."""


def _raise_in_root(signum: int) -> None:
    global _asked
    _asked = signum
    interrupt_root(_request(signum))


def _request(signum: int) -> BaseException:
    return KeyboardInterrupt() if signum == signal.SIGINT else SystemExit(128 + signum)


def check_asked() -> None:
    """Raises what a signal has raised that nobody has heard; for the end of a program's start.

    It came before there was a main greenlet, or in code that takes any error for a small one: an import that
    may fail, a call from Rust. Whoever has been asked to end must not begin to serve.
    """
    if _asked is not None:
        raise _request(_asked)


class _signals:
    """While it lasts, SIGINT and SIGTERM call `handler(signum)` on the main thread, and wake the hub."""

    def __init__(self, native: NativeHub, handler: Callable[[int], None]) -> None:
        self._native = native
        self._handler = handler
        self._old: dict[int, Any] = {}
        self._writer: socket.socket | None = None
        self._old_hook: Callable[[Any], object] = sys.unraisablehook

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._old_hook = sys.unraisablehook
        sys.unraisablehook = self._unraisable
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        self._writer = writer
        self._native.watch_signals(reader.detach())
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

        def on_signal(signum: int, frame: FrameType | None) -> None:
            self._handler(signum)

        for signum in (signal.SIGINT, signal.SIGTERM):
            self._old[signum] = signal.signal(signum, on_signal)

    def _unraisable(self, unraisable: Any) -> None:
        """A signal that arrives in a finaliser would be printed and forgotten: it goes to the hub instead."""
        error, hub = unraisable.exc_value, _hub
        if isinstance(error, (KeyboardInterrupt, SystemExit)) and hub is not None:
            hub.call_in_hub(_throw_at_root, error)
        else:
            self._old_hook(unraisable)

    def __exit__(self, *_: object) -> None:
        if self._writer is None:
            return
        sys.unraisablehook = self._old_hook
        for signum, old in self._old.items():
            signal.signal(signum, old if old is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        self._writer.close()
