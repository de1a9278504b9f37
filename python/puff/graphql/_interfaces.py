"""Interfaces: which classes are some, and who implements them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

from ._annotations import ClassForm, bindings
from ._options import type_options


def is_interface(cls: type) -> bool:
    """Return whether the class itself is decorated with ``interface``."""
    return type_options(cls, "interface") is not None


def interfaces_of(form: ClassForm, known: Mapping[str, type]) -> tuple[ClassForm, ...]:
    """Return the interfaces that a class inherits from, the nearest first."""
    bases = [base for base in form.cls.__mro__[1:] if is_interface(base)]
    if not bases:
        return ()
    bound = bindings(form, known)
    return tuple(
        ClassForm(base, tuple(bound[base][one] for one in getattr(base, "__parameters__", ())))
        for base in bases
    )


def implementations(interface: type) -> Iterator[type]:
    """Yield the public dataclasses that inherit from a class and have no open type parameters, in order."""
    # `@dataclass(slots=True)` makes a class anew: the first one of that name is of no use any more.
    below: list[type] = interface.__subclasses__()
    found = {(cls.__module__, cls.__qualname__): cls for cls in below}
    for cls in found.values():
        is_public = "__dataclass_fields__" in vars(cls) and not cls.__name__.startswith("_")
        if is_public and not is_interface(cls) and not getattr(cls, "__parameters__", ()):
            yield cls
        yield from implementations(cls)


def owner_of(form: ClassForm, interfaces: tuple[ClassForm, ...], name: str) -> ClassForm:
    """Return the class whose resolver ``name`` is: the outermost interface that has the very same one."""
    raw = inspect.getattr_static(form.cls, name)
    for interface in reversed(interfaces):
        if inspect.getattr_static(interface.cls, name, None) is raw:
            return interface
    return form
