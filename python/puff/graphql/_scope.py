"""What the names in a type hint mean.

Hints are evaluated here and not by ``typing.get_type_hints``, for three reasons: that function fails as a
whole where one name is missing, it does not look into ``list["Post"]`` (the builtin generic keeps plain
text), and it cannot find a class that another module of the schema defines and this one imports only for the
type checker.
"""

from __future__ import annotations

import builtins
import difflib
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any

from ._source import late_import
from ._where import Problem


class UnresolvedName(Problem):
    """A name in a hint that is not known, or not yet: another class may still bring it into the schema."""


class Scope(dict[str, Any]):
    """Where the names of one class's or one function's hints are looked up.

    The order is Python's own (module, builtins) and then, so that forward references work, the type
    parameters of the owner, classes nested in it, the owner itself, what the module imports for the type
    checker only, and the classes already found in the schema.

    Args:
        owner: The class in which the hints stand.
        known: Classes of the schema by name.
        bound: What the type variables of the owner stand for.
        function: The resolver, if the hints are its own.
    """

    # A dict only because `eval` wants one for its locals; `__missing__` does all the work.

    def __init__(
        self,
        owner: type,
        known: Mapping[str, type],
        bound: Mapping[Any, Any] | None = None,
        function: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        self._owner = owner
        self._known = known
        self.bound = bound or {}
        module = sys.modules.get(owner.__module__)
        self._globals: dict[str, Any] = vars(module) if module is not None else {}
        if function is not None:
            # Below any well-behaved decorators.
            innermost = inspect.unwrap(getattr(function, "__func__", function))
            self._globals = getattr(innermost, "__globals__", {})

    def __missing__(self, name: str) -> Any:
        # `eval` asks its locals first: leave what Python itself would find to Python.
        if name in self._globals or hasattr(builtins, name):
            raise KeyError(name)
        for parameter in getattr(self._owner, "__type_params__", ()):
            if parameter.__name__ == name:
                return parameter
        nested = vars(self._owner).get(name)
        if isinstance(nested, type):
            return nested
        if name == self._owner.__name__:
            return self._owner
        late = late_import(self._globals, name)
        return self._known[name] if late is None else self._import(name, *late)

    def _import(self, name: str, module: str, attribute: str | None) -> Any:
        try:
            found = importlib.import_module(module, self._globals.get("__package__"))
            if attribute == "":
                return sys.modules[module.partition(".")[0]]
            return found if attribute is None else getattr(found, attribute)
        except Exception as error:
            raise Problem(
                f"the name {name!r} is imported for the type checker from {module!r}, and that fails "
                f"({type(error).__name__}: {error})",
                "Correct the import",
            ) from None

    def evaluate(self, text: str) -> Any:
        """Return the object that the hint ``text`` means.

        Raises:
            UnresolvedName: It mentions a name that is not known (yet).
            Problem: It is not a valid expression.
        """
        try:
            return eval(text.strip(), self._globals, self)
        except NameError as error:
            raise self._unresolved(error.name or text, text) from None
        except Problem:
            raise
        except Exception as error:
            raise Problem(
                f"the type hint {text!r} cannot be evaluated ({type(error).__name__}: {error})",
                "Write a type hint that Python can evaluate",
            ) from None

    def _unresolved(self, name: str, text: str) -> UnresolvedName:
        inside = "" if name == text else f" in the type hint {text!r}"
        problem = f"the name {name!r}{inside} cannot be resolved"
        if name in typing.__all__:
            return UnresolvedName(problem, f"Add `from typing import {name}` to the module")
        classes = [key for key, value in self._globals.items() if isinstance(value, type)]
        close = difflib.get_close_matches(name, [*classes, *self._known], n=1)
        meant = f"Did you mean {close[0]!r}? If not, import" if close else "Import"
        return UnresolvedName(
            problem,
            f"{meant} the class at the top of the module or define it there; a class inside a function "
            "cannot be found",
        )
