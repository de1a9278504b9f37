"""What the names in a type hint mean.

Hints are evaluated here and not by ``typing.get_type_hints``, for three reasons: that function fails as a
whole where one name is missing, it does not look into ``list["Post"]`` (the builtin generic keeps plain
text), and it cannot find a class that another module of the schema defines and this one imports only for the
type checker.
"""

from __future__ import annotations

import builtins
import difflib
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any

from ._where import Problem


class UnresolvedName(Problem):
    """A name in a hint that is not known, or not yet: another class may still bring it into the schema."""


class Scope(dict[str, Any]):
    """Where the names of one class's or one function's hints are looked up.

    The order is Python's own (module, builtins) and then, so that forward references work, classes nested in
    the owner, the owner itself, and the classes already found in the schema.
    """

    # A dict only because `eval` wants one for its locals; `__missing__` does all the work.

    def __init__(self, owner: type, module_globals: dict[str, Any], known: Mapping[str, type]) -> None:
        super().__init__()
        self._owner = owner
        self._globals = module_globals
        self._known = known

    @classmethod
    def of_class(cls, owner: type, known: Mapping[str, type]) -> Scope:
        """Return the scope of hints that stand in the body of ``owner``."""
        module = sys.modules.get(owner.__module__)
        return cls(owner, vars(module) if module is not None else {}, known)

    @classmethod
    def of_function(cls, owner: type, function: Callable[..., Any], known: Mapping[str, type]) -> Scope:
        """Return the scope of the hints of a method of ``owner``, below any well-behaved decorators."""
        innermost = inspect.unwrap(getattr(function, "__func__", function))
        return cls(owner, getattr(innermost, "__globals__", {}), known)

    def __missing__(self, name: str) -> Any:
        # `eval` asks its locals first: leave what Python itself would find to Python.
        if name in self._globals or hasattr(builtins, name):
            raise KeyError(name)
        nested = vars(self._owner).get(name)
        if isinstance(nested, type):
            return nested
        if name == self._owner.__name__:
            return self._owner
        return self._known[name]

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
