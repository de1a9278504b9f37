"""Which object type a Python object is, where a field's type is an interface or a union."""

from __future__ import annotations

from typing import Any

from ._annotations import ClassForm, parse, show
from ._model import Classes
from ._names import Names
from ._scope import Scope, UnresolvedName
from ._where import Problem


class TypeNames:
    """The object types of one schema by their classes.

    Attributes:
        exact: The name of each class that is one object type. Objects of these classes need no other look.
    """

    def __init__(self, classes: Classes, names: Names) -> None:
        self.exact: dict[type, str] = {}
        self._forms = {form: names.output(form) for form in classes.objects}
        self._origins: dict[type, list[str]] = {}
        for form, name in self._forms.items():
            self._origins.setdefault(form.cls, []).append(name)
        for cls, found in self._origins.items():
            if len(found) == 1:
                self.exact[cls] = found[0]

    def of(self, value: Any) -> str:
        """Return the object type of a value that is not of an exact class.

        A value of a class that inherits from one of the schema's counts as that. An object of a generic class
        knows what its parameters stand for only if it was made with them: ``Page[Post](...)``.

        Raises:
            TypeError: It is none, or of a generic class and could be several.
        """
        made_as = getattr(value, "__orig_class__", None)
        if made_as is not None:
            try:
                form = parse(made_as, Scope(type(value), {}))
            except (Problem, UnresolvedName):
                form = None
            if isinstance(form, ClassForm) and form in self._forms:
                return self._forms[form]
        for cls in type(value).__mro__:
            if cls in self.exact:
                return self.exact[cls]
            if cls in self._origins:
                raise TypeError(
                    f"this {cls.__qualname__} could be {' or '.join(self._origins[cls])}; make it as "
                    f"{cls.__qualname__}[...](...), so that it knows"
                )
        raise TypeError(
            f"{show(type(value))} is no object type of the schema; where a field's type is an interface or a "
            'union, return objects of @dataclass classes of the schema, or dicts with a "__typename"'
        )
