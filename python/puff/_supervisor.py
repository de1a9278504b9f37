"""`python -m puff._supervisor`: the process that watches over private services."""

from __future__ import annotations

import sys

from ._native import native

if __name__ == "__main__":
    sys.exit(native.supervise(sys.argv[1:]))
