"""The command `puff`, also as `python -m puff`."""

from __future__ import annotations

import sys

from ._native import native


def main() -> int:
    """Runs the command line; returns the exit status."""
    return native.main(["puff", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
