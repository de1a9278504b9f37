"""`puff new`: the projects that it makes build, run and pass their own tests. One is made by hand, too."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import ROOT, Run, Serve, clean_environment
from tools import packages, tools

needs_cargo = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")
# The crate of this checkout, as long as it is asked for by its version.
PATCH = ["--config", f'patch.crates-io.puff-rs.path="{ROOT / "crates" / "puff-rs"}"']


@pytest.fixture
def folder(tmp_path: Path, stop_services: Callable[[Path], None]) -> Iterator[Path]:
    """Where projects are made; private services below it end with the test."""
    yield tmp_path
    for place in tmp_path.glob("**/.puff"):
        stop_services(place.parent)


def make(puff: Run, folder: Path, name: str, *flags: str) -> Path:
    done = puff("new", name, *flags, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.startswith(f"made {name}; next: cd {name}, then ")
    return folder / name


def build_environment() -> dict[str, str]:
    """Lets cargo use what the workspace's own build has compiled."""
    return {
        "CARGO_TARGET_DIR": str(ROOT / "target"),
        "CARGO_PROFILE_DEV_DEBUG": "line-tables-only",
        "PYO3_PYTHON": sys.executable,
    }


def run(command: list[str], cwd: Path, timeout: float = 900, **variables: str) -> str:
    """Runs a command that must succeed; its output."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_python_project(folder: Path, puff: Run, serve: Serve) -> None:
    project = make(puff, folder, "my-shop")
    with serve(cwd=project) as server:
        assert server.get("/").text == "Hello from my-shop!\n"
        assert server.get("/elsewhere").status == 404
        answer = server.graphql('{ hello(name: "you") planets { name moons { name } } }')
        assert answer["data"]["hello"] == "Hello you"
        assert answer["data"]["planets"][1] == {"name": "Earth", "moons": [{"name": "Moon"}]}
        assert server.get("/playground").status in (200, 404)  # a checkout may be without its bundle
    tests = puff("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert "3 passed" in tests.stdout


def test_a_django_project(folder: Path, puff: Run, serve: Serve) -> None:
    project = make(puff, folder, "blog", "--django")
    path = {"PYTHONPATH": str(packages(tools()))}
    for arguments in (["check"], ["migrate", "--verbosity", "0"], ["test"], ["makemigrations", "--check"]):
        done = puff("django", *arguments, cwd=project, env=path)
        assert done.returncode == 0, done.stdout + done.stderr
    run([sys.executable, "manage.py", "test"], project, timeout=60, **path)
    with serve(cwd=project, env=path) as server:
        assert server.get("/").text == "Hello from blog!\n"
        assert server.get("/users").json() == {"users": 0}
        assert server.get("/elsewhere").status == 404


def python_half(program: Path) -> Path:
    """The Python project in a Rust program, with an environment of its own on top of this one."""
    python = program / f"{program.name}_py"
    own_environment(python)
    shutil.copyfile(ROOT / "Cargo.lock", program / "Cargo.lock")
    return python


def own_environment(python: Path) -> None:
    """Gives a Python project an environment on top of this one."""
    run([sys.executable, "-m", "venv", ".venv"], python, timeout=120)
    paths = [str(ROOT / "python"), sysconfig.get_path("purelib")]
    (packages(python / ".venv") / "checkout.pth").write_text("\n".join(paths))


@needs_cargo
def test_a_project_by_hand(folder: Path) -> None:
    # The crate and the package come from the checkout: `cargo add puff-rs` and `poetry add puff-py` would ask
    # their registries for releases. The rest is typed as in the guide.
    poetry = str(tools() / "bin" / "poetry")
    variables = {
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "POETRY_CACHE_DIR": str(folder / "poetry"),
        "VIRTUAL_ENV": "",
        **build_environment(),
    }
    run(["cargo", "new", "--quiet", "--vcs", "none", "my_puff_proj", "--bin"], folder, timeout=60)
    program = folder / "my_puff_proj"
    shutil.copyfile(ROOT / "Cargo.lock", program / "Cargo.lock")
    run(
        ["cargo", "add", "--quiet", "--offline", "--path", str(ROOT / "crates" / "puff-rs")],
        program,
        timeout=60,
    )
    run([poetry, "new", "--no-interaction", "my_puff_proj_py"], program, timeout=60, **variables)
    python = program / "my_puff_proj_py"
    own_environment(python)
    with (python / "pyproject.toml").open("a") as file:
        file.write('\n[tool.poetry.scripts]\ncargo = "puff.poetry_plugins:cargo"\n')
    example = ROOT / "examples" / "puff-and-python"
    shutil.copyfile(example / "src" / "main.rs", program / "src" / "main.rs")
    for name in ("my_python_app.py", "my_file.zip"):
        shutil.copyfile(example / name, python / name)
    said = run([poetry, "run", "cargo", "run", "--quiet", "run_hello_world"], python, **variables)
    assert said == "Hello from python!! Zip is 123 bytes long from rust and 123 bytes from Python.\n"


@needs_cargo
def test_a_rust_program_under_poetry(folder: Path, puff: Run, serve: Serve) -> None:
    program = make(puff, folder, "puffkiosk", "--rust")
    python = python_half(program)
    pyproject = python / "pyproject.toml"
    # Nothing to resolve: the packages are there, and Poetry would ask its one index, whatever pip is told.
    text = re.sub(r"^dependencies = .*\n|^\[dependency-groups\]\n.*\n", "", pyproject.read_text(), flags=re.M)
    pyproject.write_text(text)
    poetry = str(tools() / "bin" / "poetry")
    variables = {
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "POETRY_CACHE_DIR": str(folder / "poetry"),
        "VIRTUAL_ENV": "",
        **build_environment(),
    }
    run([poetry, "check", "--strict"], python, timeout=60, **variables)
    run([poetry, "install", "--only-root", "--no-interaction"], python, timeout=120, **variables)
    # Its script stands first on PATH now.
    script = python / ".venv" / "bin" / "cargo"
    assert "puff.poetry_plugins" in script.read_text()
    cargo = [poetry, "run", "cargo"]
    assert run([*cargo, "--version"], python, timeout=60, **variables).startswith("cargo ")
    hello = run([*cargo, "run", "--quiet", *PATCH, "hello"], python, **variables)
    assert hello == "HELLO FROM PUFFKIOSK\n42\n"
    # The older form, which Poetry runs without a script.
    script.unlink()
    pyproject.write_text(text.replace("[project.scripts]", "[tool.poetry.scripts]"))
    with serve(cwd=python, command=(*cargo, "run", "--quiet", *PATCH, "runserver"), env=variables) as server:
        assert server.get("/").text == "Hello from puffkiosk!\n"
        assert server.get("/rust").text == "Hello from Rust\n"
        assert server.graphql("{ hello }") == {"data": {"hello": "Hello World"}}
        # One process from Poetry over the script and cargo to the program, which therefore gets the signal.
        assert Path(f"/proc/{server.process.pid}/exe").resolve().name == "puffkiosk"
        assert server.stop() == 0
    run(["rustfmt", "--check", "--edition", "2024", "src/main.rs", "build.rs"], program, timeout=60)


@needs_cargo
def test_a_rust_program_with_django_in_a_plain_environment(folder: Path, puff: Run, serve: Serve) -> None:
    program = make(puff, folder, "puffmix", "--rust", "--django")
    python = python_half(program)
    with (packages(python / ".venv") / "checkout.pth").open("a") as paths:
        paths.write(f"\n{packages(tools())}")
    script = python / ".venv" / "bin" / "cargo"
    interpreter = python / ".venv" / "bin" / "python"
    # What pip makes of the entry point.
    script.write_text(
        f"#!{interpreter}\nimport sys\nfrom puff.poetry_plugins import cargo\nsys.exit(cargo())\n"
    )
    script.chmod(0o755)
    active = {"VIRTUAL_ENV": "", "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    variables = {**active, **build_environment()}
    run(["cargo", "run", "--quiet", *PATCH, "django", "migrate", "--verbosity", "0"], python, **variables)
    assert (
        run(["cargo", "run", "--quiet", *PATCH, "hello"], python, **variables) == "HELLO FROM PUFFMIX\n42\n"
    )
    with serve(cwd=python, command=("cargo", "run", "--quiet", *PATCH, "runserver"), env=variables) as server:
        assert server.get("/users").json() == {"users": 0}
        assert server.get("/rust").text == "Hello from Rust\n"
    run(["rustfmt", "--check", "--edition", "2024", "src/main.rs", "build.rs"], program, timeout=60)
    # The binary knows where libpython is: it starts without cargo's help.
    binary = str(ROOT / "target" / "debug" / "puffmix")
    virtual = str(python / ".venv")
    assert run([binary, "hello"], python, timeout=60, VIRTUAL_ENV=virtual, LD_LIBRARY_PATH="").endswith(
        "42\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Shop"], '"Shop" is not a name: '),
        (["../shop"], '"../shop" is not a name: '),
        (["-x"], '"-x" is not a name: '),
        ([""], '"" is not a name: '),
        (["json"], '"json" is taken by '),
        (["a" * 65], "is too long"),
        (["there"], "there exists already"),
        (["link"], "link exists already"),
        (["shop", "--flask"], "--flask"),
        ([], "required arguments were not provided"),
    ],
)
def test_what_is_refused(folder: Path, puff: Run, arguments: list[str], message: str) -> None:
    (folder / "there").mkdir()
    (folder / "link").symlink_to("nowhere")
    done = puff("new", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["link", "there"]
