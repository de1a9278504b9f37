"""The first greenlet of a program: imports the user's modules, opens services, then runs the command.

It is Python and not Rust for the sake of the imports and the waits: user code may wait at import time (a
query in a module's body), and a greenlet that is parked must have no native frame on its stack.
"""

import atexit
import contextlib
import importlib
import signal
import sys
import threading
import traceback

import puff
from puff import _hub, _local, _logging, debug


def run(driver):
    """Runs the program behind `driver` (the native half); returns the exit status."""
    _local.install()  # before any module of the user's can take threading.local
    _logging.install(driver.log_levels())  # before any of them logs; what they configure themselves wins
    _diagnose(driver.watchdog_seconds())
    if driver.replaces_psycopg2():
        importlib.import_module("puff.compat.psycopg2").install()  # before any of them can import psycopg2
    # Services come after what is quick and may be wrong; a module that needs one earlier opens it itself.
    driver.make_global_state()
    for path in driver.imports():
        if not _import(path):
            return driver.import_failed(path)
    if not driver.load() or not _hub.current_hub().wait_for(driver.open_services):
        return driver.fail()
    root = driver.start()
    if root is None:
        return driver.fail()
    task, function, args = root
    if task is not None:
        return _attend(task)
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


def _import(path):
    """Imports the module part of `path`. That it does not exist is for the native half to say."""
    module, colon, attribute = path.partition(":")
    if not colon:
        module, _, attribute = path.rpartition(".")
    try:
        if module and not hasattr(importlib.import_module(module), attribute.partition(".")[0]):
            # `pkg.mod` may itself be the module whose well-known attribute is meant.
            importlib.import_module(path.replace(":", "."))
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if f"{path.replace(':', '.')}.".startswith(f"{missing}."):
            return True
        _print(error)
        return False
    except Exception as error:
        _print(error)
        return False
    return True


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


def _attend(task):
    """Waits for a server or another Rust task. The first signal asks it to stop, the second stops waiting."""
    asked = False
    while True:
        try:
            return _hub.current_hub().wait_for(task.wait)
        except (KeyboardInterrupt, SystemExit):
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
