"""Local storage of greenlets: what `threading.local` is inside a program.

Every job that the hub starts has storage of its own, and so has every thread that is not the hub. A program
puts `local` in the place of `threading.local` before it imports user code, so that Django's `connections`,
asgiref's `Local` and their like never share a database connection or a request between two greenlets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

from greenlet import getcurrent

from ._hub import Worker

_ThreadLocal = threading.local


class Storage:
    """The local values of one job: attribute dictionaries by the `local` object they belong to."""

    __slots__ = ("data", "dicts")

    def __init__(self) -> None:
        # Weak, so that a `local` that has gone takes its values with it.
        self.dicts: WeakKeyDictionary[local, dict[str, Any]] = WeakKeyDictionary()
        # By weak references: `dicts` makes one for each look, and Django has some thirty in a request.
        self.data: dict[ref[local], dict[str, Any]] = self.dicts.data  # type: ignore[attr-defined]


class _OfThread(_ThreadLocal):
    """Storage of a thread that is not the hub."""

    def __init__(self) -> None:
        self.storage = Storage()


_of_thread = _OfThread()


def _storage() -> Storage:
    current = getcurrent()
    # A library's own greenlets (SQLAlchemy's, say) belong to the job that started them.
    while not isinstance(current, Worker) and current.parent is not None:
        current = current.parent
    if isinstance(current, Worker):
        if current.puff_storage is None:
            current.puff_storage = Storage()
        storage: Storage = current.puff_storage
        return storage
    return _of_thread.storage


class local:
    """Like `threading.local`, for greenlets: each sees attributes of its own.

    A subclass's `__init__` runs again, with the same arguments, in every greenlet that uses the object. The
    values go when the greenlet ends.

    Example:
        >>> import puff
        >>> data = puff.local()
        >>> data.user = "Ada"
        >>> puff.spawn(lambda: hasattr(data, "user")).join()
        False
    """

    __slots__ = ("__weakref__", "_local_arguments", "_local_key")

    def __new__(cls, /, *args: Any, **kwargs: Any) -> local:
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError("local() takes no arguments; a subclass with an __init__ may")
        self = object.__new__(cls)
        object.__setattr__(self, "_local_arguments", (args, kwargs))
        object.__setattr__(self, "_local_key", ref(self))
        # This greenlet's __init__ is called by the usual machinery.
        _storage().dicts[self] = {}
        return self

    def __getattribute__(self, name: str) -> Any:
        if name[:2] == "__":
            return _values(self) if name == "__dict__" else object.__getattribute__(self, name)
        if type(self) is local and (current := getcurrent()).__class__ is Worker:
            # The usual case at once: no subclass, in a greenlet of the hub's, set before.
            try:
                return current.puff_storage.data[_key(self)][name]
            except (AttributeError, KeyError):
                pass
        values = _values(self)
        if name in values:
            # A data descriptor of the class (a property, a slot) comes first, as everywhere.
            kind = getattr(type(self), name, None)
            if kind is None or not hasattr(type(kind), "__set__"):
                return values[name]
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        kind = getattr(type(self), name, None)
        if kind is not None and hasattr(type(kind), "__set__"):
            object.__setattr__(self, name, value)
        elif name == "__dict__":
            raise AttributeError(f"{type(self).__name__!r} object attribute '__dict__' is read-only")
        else:
            _values(self)[name] = value

    def __delattr__(self, name: str) -> None:
        kind = getattr(type(self), name, None)
        if kind is not None and hasattr(type(kind), "__delete__"):
            object.__delattr__(self, name)
            return
        try:
            del _values(self)[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None


_key: Callable[[local], ref[local]] = local.__dict__["_local_key"].__get__


def _values(owner: local) -> dict[str, Any]:
    storage = _storage()
    values = storage.data.get(_key(owner))
    if values is None:
        values = storage.dicts[owner] = {}
        args, kwargs = object.__getattribute__(owner, "_local_arguments")
        type(owner).__init__(owner, *args, **kwargs)
    return values


def install() -> None:
    """Puts `local` in the place of `threading.local`; for the start of a program."""
    threading.local = local  # type: ignore[assignment]
