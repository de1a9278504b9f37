"""The first greenlet of a program: imports the user's modules, opens services, then runs the command.

It is Python and not Rust for the sake of the imports and the waits: user code may wait at import time (a
query in a module's body), and a greenlet that is parked must have no native frame on its stack.
"""

import atexit
import contextlib
import gc
import importlib
import logging
import os
import signal
import sys
import threading
import traceback

import puff
from puff import _hub, _local, _logging, _reload, debug

log = logging.getLogger("puff")

_YOUNG = 5_000
"""How many objects are made, beyond those that are gone, before Python's collector looks at the young ones
of a server. Python's own 700 (2,000 since 3.12) are fewer than one request of Django's holds: it would look
at what is in use, in each request."""


def run(driver):
    """Runs the program behind `driver` (the native half); returns the exit status."""
    _local.install()  # before any module of the user's can take threading.local
    _logging.install(driver.log_levels())  # before any of them logs; what they configure themselves wins
    _diagnose(driver.watchdog_seconds())
    if driver.replaces_psycopg2():
        importlib.import_module("puff.compat.psycopg2").install()  # before any of them can import psycopg2
    # Services come after what is quick and may be wrong; a module that needs one earlier opens it itself.
    driver.make_global_state()
    if driver.is_supervised():
        # That of the terminal, or of somebody who means the supervisor.
        signal.signal(signal.SIGHUP, lambda signum, frame: None)
    elif driver.is_server():
        _hear_hangup()
    made = {}
    is_server, thresholds = driver.is_server(), gc.get_threshold()
    for path in driver.imports():
        error = _import(path, made)
        if error is not None:
            _report(driver, error)
            return driver.import_failed(path)
    if not driver.load() or not _hub.current_hub().wait_for(driver.open_services):
        _report(driver)
        return driver.fail()
    root = driver.start(made)
    if root is None:
        _report(driver)
        return driver.fail()
    _hub.check_asked()
    task, function, args = root
    if task is not None:
        if is_server and gc.isenabled() and gc.get_threshold() == thresholds:
            _spare_the_collector()
        if driver.is_watched():
            puff.spawn(_reload.report, driver.report_modules)
        return _attend(task, driver.is_supervised())
    try:
        return function(*args)
    except puff.ServiceError as error:
        return driver.service_failed(str(error))
    except Exception as error:
        _print(error)
        return 1


def _diagnose(seconds):
    """SIGUSR1 prints what every greenlet does; the watchdog tells of one that lets no other run."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, lambda signum, frame: debug.dump())
    if seconds > 0:
        debug.watch(_hub.current_hub(), seconds)


def _hear_hangup():
    """SIGHUP ends a server whose terminal has gone; else somebody wants a reload, and there is none here."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        return  # started by nohup
    terminal = os.isatty(0)

    def on_hangup(signum, frame):
        if terminal and not os.isatty(0):
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            log.warning("SIGHUP reloads servers that have workers (--workers); this one goes on as it is")

    signal.signal(signal.SIGHUP, on_hangup)


def _spare_the_collector():
    """What is loaded stays: the collector need not walk through it again and again. See decision 42.

    A program that has set thresholds of its own, or does without the collector, is left alone.
    """
    # Not collected first: that takes longer than all else at the start of a large program.
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


def _import(path, made):
    """Imports the module part of `path`; the error, which has been printed, if that failed.

    Of `pkg.mod:create_app()` the function is called as well, and what it returns goes to `made`. That it is
    no name, that there is no such module, or nothing to call in it, is for the native half to say.
    """
    whole, path = path, path.removesuffix("()")
    module, colon, attribute = path.partition(":")
    if not colon:
        module, _, attribute = path.rpartition(".")
    if not module or "/" in module or module.startswith("."):
        return None
    try:
        if not hasattr(importlib.import_module(module), attribute.partition(".")[0]):
            # `pkg.mod` may itself be the module whose well-known attribute is meant.
            importlib.import_module(path.replace(":", "."))
        if path != whole and callable(factory := _found(module, attribute)):
            made[whole] = factory()
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not f"{path.replace(':', '.')}.".startswith(f"{missing}."):
            _print(error)
            return error
    except Exception as error:
        _print(error)
        return error
    return None


def _found(module, attribute):
    """What `attribute`, which may have dots, is in a module that is imported; None if it is not there."""
    found = sys.modules[module]
    for name in attribute.split("."):
        found = getattr(found, name, None)
    return found


def _report(driver, error=None):
    """Tells the supervisor of a program that does not start which files may have to change."""
    if driver.is_watched():
        driver.report_modules(_reload.files(error))


def _print(error):
    """Prints the traceback from the user's first frame on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    if trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = None  # a SyntaxError: the error itself names file and line
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def _is_ours(filename):
    return filename.startswith(("puff/", "<frozen importlib", "<frozen runpy")) or filename.endswith(
        ("/importlib/__init__.py", "/runpy.py")
    )


def _attend(task, supervised):
    """Waits for a server or another Rust task. The first signal asks it to stop, the second stops waiting.

    A worker has a supervisor for that: Ctrl-C goes to all processes of a terminal, systemd's SIGTERM to all
    of a service, and it is the supervisor who tells the workers, and loses patience.
    """
    asked = False
    while True:
        try:
            return _hub.current_hub().wait_for(task.wait)
        except (KeyboardInterrupt, SystemExit) as error:
            if supervised:
                if isinstance(error, SystemExit):
                    task.stop()
                continue
            if asked:
                raise
            asked = True
            task.stop()


def finish():
    """What an interpreter does at its end, for a program that ends without finalising it."""
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException as error:
        traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
