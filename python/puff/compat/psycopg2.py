"""`puff.postgres` under the name of psycopg2.

After `install`, ``import psycopg2`` gives `puff.postgres`, and so do its submodules: ``psycopg2.extras`` *is*
``puff.postgres.extras``. Programs need not be changed, and the real psycopg2 need not be there; if it is, it
stays as it is, for other processes.

Call it before anything imports psycopg2, or set ``psycopg2 = true`` in ``puff.toml``.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

__all__ = ["install", "is_installed", "uninstall"]

_ALIAS = "psycopg2"
_HOME = "puff.postgres"


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds psycopg2 and its submodules in `puff.postgres`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _ALIAS and not fullname.startswith(_ALIAS + "."):
            return None
        home = _home_of(fullname)
        if importlib.util.find_spec(home) is None:
            # Not `None`, or a submodule would be looked for in our folder, and loaded twice.
            raise ModuleNotFoundError(f"No module named {fullname!r} ({_HOME} has none)", name=fullname)
        return importlib.machinery.ModuleSpec(fullname, self, origin=home)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(_home_of(spec.name))
        if spec.name == _ALIAS:
            _name_ranges(_ALIAS)
        # The import system puts the alias's spec into the module; `exec_module` undoes that.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None and spec.loader is self:
            module.__spec__ = spec.loader_state


_finder = _Finder()


def _home_of(fullname: str) -> str:
    return _HOME + fullname[len(_ALIAS) :]


def _name_ranges(package: str) -> None:
    """Says where the range classes are at home.

    Django's migrations, and pickles, name that module: under psycopg2's name either driver can read them.
    """
    ranges = importlib.import_module(f"{_HOME}._range")
    for name in ("Range", "NumericRange", "DateRange", "DateTimeRange", "DateTimeTZRange"):
        getattr(ranges, name).__module__ = f"{package}._range"


def install() -> None:
    """Makes ``import psycopg2`` import `puff.postgres`. A second time does nothing.

    Raises:
        RuntimeError: the real psycopg2 was imported already. Code that has it would go on using it, and its
            exceptions and types are not ours.

    Example:
        >>> import puff.compat.psycopg2
        >>> puff.compat.psycopg2.install()
        >>> import psycopg2
        >>> psycopg2.__name__
        'puff.postgres'
        >>> puff.compat.psycopg2.uninstall()
    """
    if is_installed():
        return
    if _ALIAS in sys.modules:
        where = getattr(sys.modules[_ALIAS], "__file__", None) or "somewhere"
        raise RuntimeError(
            f"psycopg2 was imported already (from {where}): call puff.compat.psycopg2.install() earlier, "
            "before the modules that use it, or set psycopg2 = true in puff.toml"
        )
    sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Undoes `install`: the next ``import psycopg2`` looks for the real one.

    Example:
        >>> import puff.compat.psycopg2
        >>> puff.compat.psycopg2.install()
        >>> puff.compat.psycopg2.uninstall()
        >>> puff.compat.psycopg2.is_installed()
        False
    """
    if not is_installed():
        return
    sys.meta_path.remove(_finder)
    if _ALIAS in sys.modules:
        _name_ranges(_HOME)
    for name in list(sys.modules):
        if name == _ALIAS or name.startswith(_ALIAS + "."):
            del sys.modules[name]


def is_installed() -> bool:
    """Whether ``import psycopg2`` gives `puff.postgres`.

    Example:
        >>> import puff.compat.psycopg2
        >>> puff.compat.psycopg2.is_installed()
        False
    """
    return _finder in sys.meta_path
