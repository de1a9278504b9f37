"""One log for Python's `logging` and Rust's `tracing`: its form, its levels, and who may change it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from stack import Run, Serve, clean_environment
from support import built_example

SHOP = '''
import atexit
import logging
import logging.config
import threading

import puff

log = logging.getLogger("shop")
views = logging.getLogger("shop.views")


def levels():
    log.debug("a debug line")
    log.info("an info line")
    log.warning("stock is %s", "low")
    views.debug("a debug line of the views")
    log.log(25, "a line between")
    log.critical("a critical line")
    print(log.isEnabledFor(logging.INFO), views.isEnabledFor(logging.DEBUG))


def named():
    def work():
        log.warning("working")
        puff.sleep(0.001)
        log.warning("still working")

    puff.join_all([puff.spawn(work, name="worker-7"), puff.spawn(work, name="worker 8")])
    puff.spawn_blocking(log.warning, "on a thread")
    log.warning("at the root")


def failing():
    try:
        {}["missing"]
    except KeyError:
        log.exception("no luck")
    log.warning("here", stack_info=True)


def basic():
    logging.basicConfig(format="mine %(levelname)s %(message)s")
    log.warning("low")


def by_dict():
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"mine": {"format": "mine %(message)s"}},
        "handlers": {"mine": {"class": "logging.StreamHandler", "formatter": "mine"}},
        "loggers": {"shop.views": {"handlers": ["mine"], "level": "DEBUG"}},
    })
    views.debug("to my handler")
    log.warning("to the log")


def own_level():
    logging.getLogger().setLevel(logging.ERROR)
    views.setLevel(logging.INFO)
    log.warning("too low")
    log.error("high enough")
    views.info("let through")


def count():
    log.warning("before")
    log.debug("a detail")
    stock = puff.global_state()
    started = puff.spawn(puff.wrap_async, lambda done: stock.count(done, "tea"), name="stocktaker")
    print(started.join())


class Slow:
    """Its text waits for a thread that logs."""

    def __str__(self):
        log.warning("from inside")
        puff.spawn_blocking(log.warning, "from a thread meanwhile")
        puff.sleep(0.01)
        return "slow"


class Rude:
    def __str__(self):
        raise ValueError("no text")


def entangled():
    threads = [threading.Thread(target=many, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    puff.join_all([puff.spawn(log.warning, "this is %s", Slow()) for _ in range(8)])
    log.warning("never %s", Rude())
    for thread in threads:
        thread.join()


def many(number):
    for index in range(200):
        log.warning("thread %s line %s end", number, index)


def text():
    log.warning("surrogate \\ud800, escape \\x1b[31m, line\\nline")


class Last:
    def __init__(self):
        self.log = log

    def __del__(self):
        self.log.warning("finalised")


def at_the_end():
    global last
    last = Last()
    atexit.register(log.warning, "at exit")


def application(environ, start_response):
    log.info("asked")
    log.debug("not told")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
'''

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def run(puff: Run, folder: Path, function: str, *flags: str, **environment: str) -> tuple[str, list[str]]:
    """What the function of `shop` printed, and the lines of its log without the time."""
    ended = puff("run", f"shop.{function}", *flags, cwd=folder, env=environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, [re.sub(f"^{STAMP} +", "", line) for line in ended.stderr.splitlines()]


def test_warnings_are_logged_and_the_rest_is_not(puff: Run, folder: Path) -> None:
    stdout, lines = run(puff, folder, "levels")
    assert lines == [
        'WARN shop: stock is low greenlet="main"',
        'ERROR shop: a critical line greenlet="main"',
    ]
    assert stdout == "False False\n"


@pytest.mark.parametrize("source", ["flag", "variable", "usual variable", "file"])
def test_the_level_is_one_setting(puff: Run, folder: Path, source: str) -> None:
    flags, environment = [], {}
    if source == "flag":
        flags = ["--log", "info"]
    elif source == "variable":
        environment = {"PUFF_LOG": "info", "RUST_LOG": "error"}
    elif source == "usual variable":
        environment = {"RUST_LOG": "info"}
    else:
        (folder / "puff.toml").write_text('log = "info"\n')
    stdout, lines = run(puff, folder, "levels", *flags, **environment)
    assert [line.partition(" greenlet=")[0] for line in lines] == [
        "INFO shop: an info line",
        "WARN shop: stock is low",
        "INFO shop: a line between",
        "ERROR shop: a critical line",
    ]
    assert stdout == "True False\n"


def test_a_filter_names_loggers_of_python(puff: Run, folder: Path) -> None:
    stdout, lines = run(puff, folder, "levels", "--log", "error,shop.views=debug,puff_postgres=debug")
    assert [line.partition(" greenlet=")[0] for line in lines] == [
        "DEBUG shop.views: a debug line of the views",
        "ERROR shop: a critical line",
    ]
    assert stdout == "False True\n"
    assert run(puff, folder, "levels", "--log", "off") == ("False False\n", [])


def test_basic_config_wins(puff: Run, folder: Path) -> None:
    assert run(puff, folder, "basic") == ("", ["mine WARNING low"])


def test_handlers_from_dict_config_win_where_they_are(puff: Run, folder: Path) -> None:
    _, lines = run(puff, folder, "by_dict")
    assert lines == ["mine to my handler", 'WARN shop: to the log greenlet="main"']


def test_levels_that_the_program_sets_stay(puff: Run, folder: Path) -> None:
    _, lines = run(puff, folder, "own_level", "--log", "info")
    assert lines == [
        'ERROR shop: high enough greenlet="main"',
        'INFO shop.views: let through greenlet="main"',
    ]


def test_lines_have_the_names_of_greenlets(puff: Run, folder: Path) -> None:
    _, lines = run(puff, folder, "named")
    assert sorted(lines[:4]) == [
        'WARN shop: still working greenlet="worker 8"',
        'WARN shop: still working greenlet="worker-7"',
        'WARN shop: working greenlet="worker 8"',
        'WARN shop: working greenlet="worker-7"',
    ]
    assert lines[4:] == ["WARN shop: on a thread", 'WARN shop: at the root greenlet="main"']


def test_tracebacks_follow_the_line(puff: Run, folder: Path) -> None:
    _, lines = run(puff, folder, "failing")
    assert lines[:2] == [
        'ERROR shop: no luck greenlet="main"',
        "Traceback (most recent call last):",
    ]
    assert '    {}["missing"]' in lines
    end = lines.index("KeyError: 'missing'")
    assert lines[end + 1 : end + 3] == [
        'WARN shop: here greenlet="main"',
        "Stack (most recent call last):",
    ]
    assert lines[-1] == '    log.warning("here", stack_info=True)'


def test_json_has_one_object_per_line(puff: Run, folder: Path) -> None:
    (folder / "puff.toml").write_text('log_format = "json"\n')
    _, lines = run(puff, folder, "failing")
    first, second = (json.loads(line) for line in lines)
    assert re.fullmatch(STAMP, first.pop("timestamp"))
    exception = first.pop("exception")
    assert exception.startswith("Traceback (most recent call last):\n")
    assert exception.endswith("KeyError: 'missing'")
    assert first == {"level": "ERROR", "target": "shop", "message": "no luck", "greenlet": "main"}
    assert second["exception"].startswith("Stack (most recent call last):\n")


def test_another_format_is_an_error(puff: Run, folder: Path) -> None:
    ended = puff("run", "shop.levels", "--log-format", "xml", cwd=folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == 'puff: error: --log-format: "xml" is not text or json\n'


def test_logging_while_logging_waits_for_nobody(puff: Run, folder: Path) -> None:
    ended = puff("run", "shop.entangled", cwd=folder, timeout=30)
    assert ended.returncode == 0, ended.stderr
    found = re.findall(r"shop: thread (\d) line (\d+) end$", ended.stderr, re.MULTILINE)
    assert sorted((int(number), int(index)) for number, index in found) == [
        (number, index) for number in range(4) for index in range(200)
    ]
    assert ended.stderr.count("this is slow") == 8
    assert ended.stderr.count("from a thread meanwhile") == 8
    # What goes wrong in logging is reported as Python does it, and does not reach the program.
    assert "--- Logging error ---" in ended.stderr
    assert "ValueError: no text" in ended.stderr


def test_any_text_can_be_logged(puff: Run, folder: Path) -> None:
    _, lines = run(puff, folder, "text")
    assert lines[0].startswith("WARN shop: surrogate \ufffd")
    assert lines[0].endswith(r", escape \u{1b}[31m, line")
    assert lines[1] == 'line greenlet="main"'


def test_the_log_is_there_to_the_last(puff: Run, folder: Path) -> None:
    _, lines = run(puff, folder, "at_the_end")
    assert "WARN shop: at exit" in lines
    assert "WARN shop: finalised" in lines


def test_requests_are_names_too(serve: Serve, folder: Path) -> None:
    with serve("--wsgi", "shop:application", cwd=folder) as server:
        assert server.get("/tea?cup=1").text == "ok"
        server.stop()
        log = server.log.read_text()
    assert 'INFO shop: asked greenlet="GET /tea?cup=1"' in log
    assert "not told" not in log


def test_rust_and_python_write_one_log(folder: Path) -> None:
    program = built_example("log")
    environment = clean_environment(PYO3_PYTHON=sys.executable, VIRTUAL_ENV=sys.prefix)

    def log(*flags: str, **more: str) -> str:
        ended = subprocess.run(
            [program, "count", *flags],
            cwd=folder,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ended.returncode, ended.stdout) == (0, "3\n"), ended.stderr
        return ended.stderr

    def lines(level: str) -> list[str]:
        return re.findall(f"^{STAMP} +(.*)", log("--log", level), re.MULTILINE)

    before = 'WARN shop: before greenlet="main"'
    assert lines("warn") == [before]
    assert lines("info") == [before, "INFO log: counted in Rust item=tea"]
    assert lines("info,puff_python::operation=debug") == [
        before,
        'INFO operation{greenlet="stocktaker"}: log: counted in Rust item=tea',
    ]
    own = log(SHOP_OWN_LOG="1")
    assert ' WARN shop: before greenlet="main"\n' in own
    assert 'DEBUG shop: a detail greenlet="main"\n' in own
    assert ' INFO operation{greenlet="stocktaker"}: log: counted in Rust item=tea\n' in own
    assert not re.search(STAMP, own)
