"""What the greenlets of this process are doing: for logs, debuggers and SIGUSR1."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from dataclasses import dataclass
from types import FrameType
from typing import TextIO

from . import _hub
from ._greenlet import Greenlet
from ._hub import Hub, Worker, current_hub, running

log = logging.getLogger("puff.watchdog")

__all__ = ["GreenletInfo", "dump", "greenlets"]


@dataclass(frozen=True)
class GreenletInfo:
    """One greenlet that has begun and not ended."""

    name: str
    """What it runs: the name given to `puff.spawn`, a request, a resolver."""
    running: bool
    """Whether it is the one that runs right now; the others wait."""
    stack: tuple[traceback.FrameSummary, ...]
    """Its Python stack without the hub's frames, outermost first; the last one is where it waits."""

    def __str__(self) -> str:
        state = "running" if self.running else "waiting"
        return f"greenlet {self.name} ({state})\n" + "".join(traceback.format_list(list(self.stack))).rstrip()


def greenlets() -> list[GreenletInfo]:
    """All greenlets of the hub that have begun and not ended; from any thread. Empty if no hub runs.

    Example:
        >>> import puff, puff.debug
        >>> nap = puff.spawn(puff.sleep, 60, name="nap")
        >>> puff.sleep(0.01)
        >>> [each.name for each in puff.debug.greenlets() if not each.running]
        ['nap']
        >>> nap.kill()
    """
    if not running():
        return []
    hub = current_hub()
    return [_info(hub, worker) for worker in hub.workers()]


def dump(file: TextIO | None = None) -> None:
    """Prints every greenlet with its stack, to stderr unless another file is given.

    Example:
        >>> import io, puff.debug
        >>> shown = io.StringIO()
        >>> puff.debug.dump(shown)
        >>> shown.getvalue().splitlines()[0]
        'puff: 1 greenlets'
    """
    output = sys.stderr if file is None else file
    found = greenlets()
    print(f"puff: {len(found)} greenlets", file=output)
    for each in found:
        print(each, file=output)
    output.flush()


def watch(hub: Hub, seconds: float) -> None:
    """Starts a thread that warns, once each time, when the hub has not let anybody run for `seconds`.

    Every greenlet waits then; if there is no other, nothing is said. The warning names the greenlet that runs
    and shows its stack. C code that holds the GIL keeps the watcher from running as well: it is reported when
    it is over.
    """
    threading.Thread(target=_watch, args=(hub, seconds), name="puff-watchdog", daemon=True).start()


def _watch(hub: Hub, seconds: float) -> None:
    reported = False
    while not hub.stopped.wait(seconds / 4):
        busy = hub.native.busy_seconds()
        if busy < seconds:
            reported = False
        elif not reported and (len(hub.workers()) > 1 or hub.native.has_events()):
            reported = True
            worker = _running(hub)
            what = _info(hub, worker) if worker is not None else "the hub itself"
            log.warning("nothing else has run for %.1f s: %s", busy, what)


def _running(hub: Hub) -> Worker | None:
    """The greenlet that runs right now. The stacks of the others, perhaps 100,000, stay untouched."""
    for worker in hub.workers():
        if worker.gr_frame is None and worker.puff_job is not None:
            return worker
    return None


def _info(hub: Hub, worker: Worker) -> GreenletInfo:
    frame: FrameType | None = worker.gr_frame
    is_running = frame is None
    if frame is None and hub.thread is not None:
        # The one that runs has no saved frame: its stack is the thread's.
        frame = sys._current_frames().get(hub.thread)
    stack = traceback.extract_stack(frame) if frame is not None else traceback.StackSummary()
    return GreenletInfo(name_of(worker), is_running, tuple(each for each in stack if not _is_ours(each)))


def name_of(worker: Worker) -> str:
    """What the greenlet runs, in a few words, as logs show it."""
    if worker is _hub._root:
        return "main"
    job = worker.puff_job
    if job is None:
        return "idle"
    function, argument = job
    if isinstance(argument, Greenlet):
        return argument.name
    if argument is None:
        return getattr(function, "__qualname__", None) or repr(function)
    return str(argument)


def _is_ours(frame: traceback.FrameSummary) -> bool:
    """Whether the frame is one of the hub's, which all stacks begin and end with, or of this module."""
    return frame.filename in (__file__, sys.modules[Hub.__module__].__file__)
