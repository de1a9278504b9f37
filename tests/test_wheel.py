"""The wheel in an empty venv, with no Rust in sight, serves the demo."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stack import ROOT, clean_environment, serving
from support import open_folder


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The wheel as `make wheel` builds it."""
    built = subprocess.run(
        ["make", "--no-print-directory", "wheel"],
        cwd=ROOT,
        env=clean_environment(PYTHON=sys.executable),
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (name,) = (line for line in built.stdout.splitlines() if line.endswith(".whl"))
    return ROOT / name


def test_the_wheel_serves_the_demo_without_rust(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    install = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*install, f"{wheel}[embedded]", "flask", "pycountry", "airportsdata"], check=True, timeout=300
    )
    # What is left of PATH holds neither cargo nor a PostgreSQL.
    environment = {"PATH": f"{venv / 'bin'}:/usr/bin:/bin", "VIRTUAL_ENV": str(venv), "PUFF_ENV": ""}
    assert shutil.which("cargo", path=environment["PATH"]) is None
    puff = str(venv / "bin" / "puff")
    with open_folder() as demo:
        unwanted = shutil.ignore_patterns(".puff", "__pycache__")
        shutil.copytree(ROOT / "examples" / "demo", demo, ignore=unwanted, dirs_exist_ok=True)
        loaded = subprocess.run(
            [puff, "run", "puff_demo.data.load"],
            cwd=demo,
            env=clean_environment(**environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
        with serving(cwd=demo, env=environment, command=(puff, "runserver")) as server:
            assert "Puff demo" in server.get("/").text
            answer = server.graphql("{ countries(limit: 1) { name } }")
            assert answer == {"data": {"countries": [{"name": "Afghanistan"}]}}
            page = server.get("/playground")
            assert page.status == 200
            assert "/_puff/playground/" in page.text
