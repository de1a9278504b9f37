"""The Rust API of the runtime: commands with arguments, Rust that calls Python (the example `toolbox`)."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stack import clean_environment
from support import built_example

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")

MODULE = """
import sys
import traceback

import puff
from greenlet import GreenletExit

puff.sleep(0.01)  # a module may wait while it is imported
entries = []


def describe(*, file, dry_run, rate, limit=1000, tags=()):
    print([file, dry_run, rate, limit, tags])


def raw():
    print(sys.argv)
    return 3


def square(number):
    puff.sleep(number % 7 / 1000)
    return number * number


def echo(text, data):
    assert type(text) is str and type(data) is bytes
    return text, data


def slow(name):
    entries.append(name)
    try:
        puff.sleep(60)
    except GreenletExit:
        entries.append("killed")
        raise
    finally:
        puff.sleep(0)
        entries.append("cleaned")


def log():
    return entries


def negative(number):
    raise ValueError(f"{number} is negative")


def text(number):
    return "text"


def leave(number):
    sys.exit(9)


def end(number):
    raise GreenletExit


def relayed(relay):
    def through(name):
        return puff.wrap_async(lambda return_func: relay.call(return_func, name))

    try:
        through("toolbox:negative")
    except ValueError as error:
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert "negative" in frames, frames
    waiting = puff.spawn(through, "toolbox:slow")
    while not entries:
        puff.sleep(0.001)
    waiting.kill()
    while len(entries) < 3:
        puff.sleep(0.001)
    return f"{entries} {through('toolbox:square')}"


async def later(number):
    return number
"""

Toolbox = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def command() -> list[str]:
    return [built_example("toolbox")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "toolbox.py").write_text(MODULE)
    return tmp_path


@pytest.fixture
def toolbox(command: list[str], folder: Path) -> Toolbox:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env=clean_environment(VIRTUAL_ENV=sys.prefix, PYO3_PYTHON=sys.executable),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_arguments_have_pythons_types(toolbox: Toolbox) -> None:
    least = toolbox("describe", "a.csv")
    assert least.returncode == 0, least.stderr
    assert least.stdout == "['a.csv', False, 0.5, 1000, ()]\n"
    all_of_them = toolbox(
        *("describe", "--limit", "3", "b c.csv", "--rate=1.25", "--tag", "x", "--dry-run", "--tag", "y")
    )
    assert all_of_them.stdout == "['b c.csv', True, 1.25, 3, ['x', 'y']]\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe"], "the following required arguments were not provided"),
        (["describe", "a", "--limit", "many"], "invalid value 'many' for '--limit <limit>'"),
        (["describe", "a", "--limit", "0"], "0 is not in 1..=4294967295"),
        (["describe", "a", "--unknown"], "unexpected argument '--unknown'"),
        (["misfit", "a"], "toolbox.raw cannot be called: got an unexpected keyword argument 'file'"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(
    toolbox: Toolbox, arguments: list[str], message: str
) -> None:
    result = toolbox(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("toolbox: error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_commands_live_side_by_side(toolbox: Toolbox) -> None:
    text = toolbox("--help").stdout
    assert "Shows what Python gets" in text
    assert "Sums squares" in text
    result = toolbox("raw", "x", "--y")
    assert result.returncode == 3, result.stderr
    assert result.stdout == "['toolbox.raw', 'x', '--y']\n"


def test_a_thousand_calls_at_once(toolbox: Toolbox) -> None:
    result = toolbox("squares", "1000")
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) == sum(n * n for n in range(1000))


def test_text_and_bytes_cross(toolbox: Toolbox) -> None:
    assert toolbox("echo").stdout == 'Grüße b"\\0\\xff"\n'


def test_a_dropped_call_is_killed(toolbox: Toolbox) -> None:
    result = toolbox("hurry")
    assert result.returncode == 0, result.stderr
    # The call that was dropped at once may or may not have begun; what began was also cleaned up.
    assert result.stdout.split()[:3] == ["asked", "killed", "cleaned"]
    assert result.stdout.split()[3:] in ([], ["dropped", "killed", "cleaned"])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("toolbox:negative", "raised ValueError: -1 is negative"),
        ("toolbox:text", "raised TypeError: the Python function's value does not fit: 'str' object"),
        ("toolbox:leave", "raised SystemExit: 9"),
        ("toolbox:later", "raised TypeError: later is a coroutine function"),
        ("toolbox:absent", 'raised RuntimeError: module "toolbox" has no attribute "absent"'),
        ("no_such_module:f", 'raised RuntimeError: no Python module "no_such_module"'),
        ("nonsense", 'raised RuntimeError: "nonsense" does not name a Python object'),
    ],
)
def test_errors_come_back(toolbox: Toolbox, function: str, message: str) -> None:
    result = toolbox("fail", function)
    assert result.returncode == 1
    assert result.stdout.startswith(message), result.stdout
    assert result.stderr == "toolbox: error: " + result.stdout.removeprefix("raised ")


def test_python_waits_for_rust_that_waits_for_python(toolbox: Toolbox) -> None:
    # The exception keeps its traceback on the way; killing the outer greenlet ends the inner one.
    result = toolbox("hand", "toolbox:relayed")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "[-1, 'killed', 'cleaned'] 1\n"


def test_a_call_that_ends_itself(toolbox: Toolbox) -> None:
    result = toolbox("fail", "toolbox:end")
    assert (result.returncode, result.stdout) == (0, "the Python function was ended before it returned\n")


def test_blocking_work(toolbox: Toolbox) -> None:
    result = toolbox("block")
    assert (result.returncode, result.stdout) == (1, "42\n")
    assert result.stderr.endswith("toolbox: error: the blocking work panicked: on purpose\n")


def test_a_rust_command_stops_when_asked(command: list[str], folder: Path) -> None:
    process = subprocess.Popen(
        [*command, "watch"],
        cwd=folder,
        env=clean_environment(VIRTUAL_ENV=sys.prefix, PYO3_PYTHON=sys.executable),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "watching\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[0] == "stopped\n"
        assert process.returncode == 7
    finally:
        process.kill()
        process.wait(10)
