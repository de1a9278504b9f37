"""The one door to the native module ``_puff``.

A Rust program that embeds Python has it built in under that name; the wheel brings it as an extension
module beside this file. Nothing else in the package imports it.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import _puff as native
else:
    try:
        if "_puff" in sys.builtin_module_names:
            native = importlib.import_module("_puff")
        else:
            native = importlib.import_module("puff._puff")
    except ModuleNotFoundError as error:
        raise ImportError(
            "puff's native module is missing. Install the wheel (pip install puff-py), or run this code "
            "inside a Rust program built with puff-rs."
        ) from error

__all__ = ["native"]
