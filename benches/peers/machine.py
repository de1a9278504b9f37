"""The machine's class and the versions of all that took part; nothing that names the machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from . import places
from .registry import Peer


def machine() -> dict[str, str | int]:
    """CPU model, core count, kernel, date, and the commit that Puff was built from."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release().split("-")[0],
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": _commit(),
    }


def _commit() -> str:
    command = ["git", "-C", str(places.ROOT), "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def versions(peers: Iterable[Peer]) -> dict[str, str]:
    """Versions by name: tools, and the packages that the peers name and that are installed."""
    found = {
        "Python": platform.python_version(),
        "rustc": _said("rustc", "--version"),
        "PostgreSQL": _said(str(places.postgres_bin() / "postgres"), "--version"),
        "wrk": _said("wrk", "-v"),
    }
    found |= package_versions(package for peer in peers for package in peer.packages)
    return {name: version for name, version in found.items() if version}


def missing(peer: Peer) -> str | None:
    """A program or package that the peer needs and that is not installed; None if all is there."""
    if not peer.program().exists():
        return peer.program().name
    installed = package_versions(peer.packages)
    names = (package.partition(":")[2] for package in peer.packages)
    return next((name for name in names if name not in installed), None)


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of what is installed of `packages`, which are named as in `Peer.packages`."""
    installed = {"py": _python_packages(), "rs": _crates(), "js": _node_packages()}
    found = {}
    for package in sorted(set(packages)):
        kind, _, name = package.partition(":")
        if name in installed[kind]:
            found[name] = installed[kind][name]
    return found


def _said(*command: str) -> str:
    """The first version number in what a program prints about itself; empty without the program."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    number = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return number.group() if number else ""


def _python_packages() -> dict[str, str]:
    installed = importlib.metadata.distributions(path=[str(places.site_packages())])
    return {each.name.lower().replace("_", "-"): each.version for each in installed}


def _crates() -> dict[str, str]:
    lock = (places.FLOORS / "Cargo.lock").read_text()
    return dict(re.findall(r'^name = "(.+)"\nversion = "(.+)"$', lock, re.MULTILINE))


def _node_packages() -> dict[str, str]:
    lock = places.NODE_HOME / "package-lock.json"
    if not places.NODE.exists() or not lock.exists():
        return {}
    packages = json.loads(lock.read_text())["packages"]
    return {path.removeprefix("node_modules/"): each["version"] for path, each in packages.items() if path}
