"""`puff pytest` and plain pytest with the installed package, on small projects."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import PUFF, ROOT, Run, clean_environment
from support import eventually
from terminal import Terminal

PYTEST = [sys.executable, "-m", "pytest"]
QUIET = ("-p", "no:cacheprovider", "-q")

SCHEMA = """
from dataclasses import dataclass

import puff

puff.sleep_ms(5)  # a module's body may wait

@dataclass
class HelloWorld:
    title: str
    was_input: int

@dataclass
class Query:
    @classmethod
    def hello_world(cls, context, /, my_input: int) -> list[HelloWorld]:
        puff.sleep_ms(5)
        return [HelloWorld("hi", my_input)]

@dataclass
class Schema:
    query: Query
"""

GRAPHQL_TESTS = """
from puff import global_graphql

gql = global_graphql()

def test_gql():
    QUERY = '''
    query {
        hello_world(my_input: 3) {
            title
            was_input
        }
    }
    '''
    result = gql.query(QUERY, {})
    assert 'data' in result
    assert 'errors' not in result
    assert result['data']["hello_world"][0] == {"title": "hi", "was_input": 3}

def test_sdl():
    assert "hello_world" in gql.sdl()
"""

SUITE = """
import threading

import puff
import pytest

@pytest.fixture(scope="module")
def squares():
    yield puff.join_all([puff.spawn(pow, n, 2) for n in range(4)])
    puff.sleep_ms(1)

@pytest.fixture
def slow():
    puff.sleep_ms(1)
    return "slow"

@pytest.mark.parametrize("n", [1, 2, 3])
def test_squares(squares, slow, n):
    assert squares[n] == n * n
    assert slow == "slow"

def test_others_run_meanwhile():
    seen = []
    other = puff.spawn(seen.append, 1)
    for _ in range(1000):
        if seen:
            break
        puff.sleep_ms(5)
    assert seen == [1]
    other.join()

def test_main_thread():
    assert threading.current_thread() is threading.main_thread()

class TestFails:
    def test_in_a_greenlet(self):
        puff.spawn(fail, "boom").join()

    def test_after(self):
        assert 1 == 2

def fail(text):
    raise ValueError(text)
"""


def plain(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs pytest without `puff`."""
    return subprocess.run(
        [*PYTEST, *arguments],
        cwd=cwd,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(params=["puff", "plain"])
def run(request: pytest.FixtureRequest, puff: Run) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs pytest inside the runtime, and without it."""
    if request.param == "plain":
        return plain
    return lambda *arguments, cwd: puff("pytest", *arguments, cwd=cwd)


RunPytest = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "test_suite.py").write_text(SUITE)
    return tmp_path


def test_fixtures_parameters_and_failures(suite: Path, run: RunPytest) -> None:
    result = run(*QUIET, cwd=suite)
    assert result.returncode == 1, result.stderr
    assert "2 failed, 5 passed" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "status", "summary"),
    [
        (("-k", "squares or main"), 0, "4 passed, 3 deselected"),
        (("-x",), 1, "1 failed, 5 passed"),
        (("test_suite.py::TestFails::test_after",), 1, "1 failed"),
        (("-k", "nothing_has_this_name"), 5, "7 deselected"),
        (("--no-such-option",), 4, ""),
        (("no_such_file.py",), 4, "no tests ran"),
        (("--", "-k", "main"), 0, "1 passed"),
    ],
)
def test_arguments_and_exit_status(
    suite: Path, puff: Run, arguments: tuple[str, ...], status: int, summary: str
) -> None:
    if arguments[0] == "--":
        result = puff("pytest", "--", *QUIET, *arguments[1:], cwd=suite)
    else:
        result = puff("pytest", *arguments, *QUIET, cwd=suite)
    assert result.returncode == status, result.stdout + result.stderr
    assert summary in result.stdout


def test_the_header_says_where(suite: Path, puff: Run) -> None:
    inside = puff("pytest", "-p", "no:cacheprovider", "-k", "main", cwd=suite)
    assert re.search(r"^puff: [\d.]+, tests run in the main greenlet$", inside.stdout, re.MULTILINE)
    assert "puff: " not in plain("-p", "no:cacheprovider", "-k", "main", cwd=suite).stdout


def test_tracebacks_show_the_users_code_only(suite: Path, run: RunPytest) -> None:
    result = run(*QUIET, "-k", "in_a_greenlet", cwd=suite)
    assert 'puff.spawn(fail, "boom").join()' in result.stdout
    assert "raise ValueError(text)" in result.stdout
    assert "_hub.py" not in result.stdout
    assert "_greenlet.py" not in result.stdout
    assert "_greenlet.py" in run(*QUIET, "--full-trace", "-k", "in_a_greenlet", cwd=suite).stdout


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project with a schema; its tests lie in a folder."""
    (tmp_path / "shop_schema.py").write_text(SCHEMA)
    (tmp_path / "puff.toml").write_text('graphql = "shop_schema:Schema"\n')
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_schema.py").write_text(GRAPHQL_TESTS)
    return tmp_path


def test_graphql(shop: Path, run: RunPytest) -> None:
    result = run(*QUIET, cwd=shop)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    assert "2 passed" in result.stdout


def test_graphql_through_pytests_own_command(shop: Path) -> None:
    """Which does not put the working directory on the module path."""
    result = subprocess.run(
        [str(PUFF.parent / "pytest"), *QUIET],
        cwd=shop,
        env=clean_environment(PUFF_GRAPHQL="shop_schema.Schema"),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_a_schema_from_a_greenlet_of_the_background(shop: Path) -> None:
    """The first use is on the hub's own thread, and the module's body waits there."""
    (shop / "tests" / "test_schema.py").write_text(
        "import puff\n\ndef test_both():\n"
        "    gql = puff.global_graphql()\n"
        "    query = '{ hello_world(my_input: 1) { was_input } }'\n"
        "    answers = puff.join_all([puff.spawn(gql.query, query) for _ in range(3)])\n"
        "    assert answers == [{'data': {'hello_world': [{'was_input': 1}]}}] * 3\n"
    )
    result = plain(*QUIET, cwd=shop)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({}, "this program has no GraphQL schema"),
        ({"PUFF_GRAPHQL": "nowhere.schema:Schema"}, "nowhere"),
        ({"PUFF_GRAPHQL": "shop_schema:Query"}, "shop_schema"),
        ({"PUFF_GRAPHQL": "broken:Schema"}, "1 / 0"),
    ],
)
def test_a_schema_that_is_not_right(shop: Path, variables: dict[str, str], text: str) -> None:
    (shop / "puff.toml").unlink()
    (shop / "broken.py").write_text("1 / 0\n")
    result = plain(*QUIET, "-k", "gql", cwd=shop, **variables)
    assert result.returncode == 1
    assert text in result.stdout


def test_projects_without_puff_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\naddopts = --strict-markers\n")
    (tmp_path / "test_plain.py").write_text(
        "import sys\n\ndef test_nothing_is_loaded():\n"
        "    loaded = {name for name in sys.modules if name.partition('.')[0] in ('puff', '_puff')}\n"
        "    assert loaded == {'puff', 'puff.pytest_plugin'}\n"
        "    assert 'greenlet' not in sys.modules\n"
    )
    result = plain(*QUIET, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert not (tmp_path / ".puff").exists()


def test_warnings_as_errors(suite: Path, puff: Run) -> None:
    (suite / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    assert puff("pytest", *QUIET, "-k", "main", cwd=suite).returncode == 0


def test_several_processes(suite: Path, puff: Run) -> None:
    """pytest-xdist's workers are plain Python: each has a runtime in the background."""
    result = puff("pytest", *QUIET, "-n", "2", "-k", "not main_thread", cwd=suite)
    assert "2 failed, 4 passed" in result.stdout, result.stdout + result.stderr


def test_without_pytest(tmp_path: Path) -> None:
    """One clear line. `-S` leaves out the packages of the environment; ours are added again."""
    for name in ("greenlet",):
        module = sys.modules.get(name) or __import__(name)
        (tmp_path / name).symlink_to(Path(str(module.__file__)).parent)
    result = subprocess.run(
        [sys.executable, "-S", "-m", "puff", "pytest"],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=f"{ROOT / 'python'}:{tmp_path}"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr == (
        "puff: error: pytest is not installed: add it to this Python with pip install pytest\n"
    )


SLEEPER = """
import pathlib
import puff
import pytest

@pytest.fixture
def opened():
    yield
    pathlib.Path("closed").touch()

def test_sleeps(opened):
    pathlib.Path("started").touch()
    puff.sleep(60)

def test_never_reached():
    pathlib.Path("reached").touch()
"""


@pytest.mark.parametrize(
    ("signum", "status", "text"),
    [(signal.SIGINT, 2, "KeyboardInterrupt"), (signal.SIGTERM, 143, "terminated")],
)
def test_signals_end_the_session(tmp_path: Path, signum: int, status: int, text: str) -> None:
    (tmp_path / "test_sleep.py").write_text(SLEEPER)
    process = subprocess.Popen(
        [str(PUFF), "pytest", *QUIET],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signum)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == status, output
    assert text in output
    assert (tmp_path / "closed").exists(), "fixtures end as always"
    assert not (tmp_path / "reached").exists()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_terminal(*arguments: str) -> Terminal:
        opened.append(Terminal(str(PUFF), "pytest", *arguments, cwd=tmp_path))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()


def test_pdb(tmp_path: Path, terminal: Callable[..., Terminal]) -> None:
    (tmp_path / "test_value.py").write_text(
        "import puff\n\ndef test_value():\n    value = puff.spawn(int, '42').join()\n    assert value == 43\n"
    )
    user = terminal("-p", "no:cacheprovider", "--pdb")
    user.expect("(Pdb) ")
    user.type("p value + 100000\n")
    user.expect("100042")
    user.expect("(Pdb) ")
    user.type("import puff; puff.spawn(print, 'alive').join()\n")  # the runtime goes on below the prompt
    user.expect("\nalive")
    user.expect("(Pdb) ")
    user.type("c\n")
    user.expect("1 failed")
    assert user.wait() == 1


def test_breakpoints_and_ctrl_c(tmp_path: Path, terminal: Callable[..., Terminal]) -> None:
    (tmp_path / "test_value.py").write_text(
        "import puff\n\ndef test_value():\n    value = 1234\n    breakpoint()\n"
        "    open('begun', 'w').close()\n    puff.sleep(60)\n"
    )
    user = terminal("-p", "no:cacheprovider")
    user.expect("(Pdb) ")
    user.type("p value * 10\n")
    user.expect("12340")
    user.expect("(Pdb) ")
    user.type("c\n")
    user.expect("continue")
    assert eventually((tmp_path / "begun").exists)
    user.type("\x03")
    user.expect("KeyboardInterrupt")
    assert user.wait() == 2


@pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")
def test_a_program_in_rust(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("program")
    command = ["cargo", "run", "--quiet", "--manifest-path", str(ROOT / "Cargo.toml"), "-p", "puff-rs"]
    command += ["--example", "pytest", "--", "pytest", *QUIET]

    def program(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env=clean_environment(VIRTUAL_ENV=sys.prefix, PYO3_PYTHON=sys.executable),
            capture_output=True,
            text=True,
            timeout=900,  # the first run compiles
            check=False,
        )

    missing = program()
    assert (missing.returncode, missing.stderr) == (
        2,
        "shop_program: error: there is no folder shop here, whose tests this command runs\n",
    )
    (folder / "shop").symlink_to(shop)
    result = program()
    assert (result.returncode, result.stderr) == (0, ""), result.stdout + result.stderr
    assert "2 passed" in result.stdout
    for path in ("tests/test_schema.py::test_gql", "shop/tests/test_schema.py::test_gql"):
        assert "1 passed" in program(path).stdout
    assert program("-k", "nothing").returncode == 5
