"""What of Puff is public: for the reference, and for tests of it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

from django.conf import settings

import puff


def public_modules() -> list[str]:
    """The modules that users import: no part of their names begins with an underscore."""
    found = pkgutil.walk_packages(puff.__path__, "puff.")
    names = ["puff", *(each.name for each in found if "._" not in each.name)]
    return sorted(name for name in names if name not in OURS)


OURS = {
    "puff.contrib",
    "puff.contrib.django.postgresql.base",
    "puff.compat",
    "puff.pytest_plugin",
    "puff.poetry_plugins",
}
"""Modules that hold others, or that other programs import; the guide has what there is to say of them."""


def public_names() -> set[str]:
    """The full names of what these modules offer: a page that has one of them in code leads to it.

    What two modules offer has the name of the one further up. Psycopg2's hundreds of constants, and classes
    by SQLSTATE, are left to PostgreSQL's manual.
    """
    found: dict[Any, str] = {}
    for module in sorted(MODULES, key=lambda module: (module.count("."), module)):
        loaded = importlib.import_module(module)
        for name in getattr(loaded, "__all__", ()):
            item = getattr(loaded, name)
            setattr(loaded, name, item)  # autodoc sees no names that are imported on first use
            if not module.startswith("puff.postgres") or _is_told(module, name, item):
                found.setdefault(id(item), f"{module}.{name}")
    return {*found.values(), *MODULES}


def _is_told(module: str, name: str, item: object) -> bool:
    if module.startswith("puff.postgres.error"):
        return name == "lookup"
    return inspect.isroutine(item) or inspect.isclass(item)


settings.configure()  # modules of Django's ask for settings at their import
MODULES = public_modules()
NAMES = public_names()
