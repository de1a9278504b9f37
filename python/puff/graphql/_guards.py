"""Which permissions guard what: of the class and the field itself, and of the interfaces above it."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as data_field

from ._annotations import ClassForm
from ._inputs import Converters, Shape
from ._model import Classes, Field
from ._names import Names
from ._options import class_permission
from ._permissions import Permission
from ._where import Where


@dataclass(frozen=True)
class Link:
    """The permissions that stand at one place: of a class, or of a member; names are those of GraphQL."""

    type: str
    field: str | None
    functions: tuple[Permission, ...] = data_field(compare=False)
    where: Where

    def __str__(self) -> str:
        file, line = self.where.source()
        name = self.type if self.field is None else f"{self.type}.{self.field}"
        return name if file is None else f"{name} ({file}:{line})"


@dataclass(frozen=True)
class Guard:
    """All that is asked before a field, or the objects of a type, are shown: the outermost place first.

    ``shape`` says how the field's arguments come to Python.
    """

    links: tuple[Link, ...]
    shape: Shape


class Guards:
    """The permissions of one schema.

    Attributes:
        all: Each guard once.
        guarded: (object type, field or None for its objects, number of the guard) by their GraphQL names.
    """

    def __init__(self, classes: Classes, names: Names) -> None:
        self.all: list[Guard] = []
        self.guarded: list[tuple[str, str | None, int]] = []
        self._classes = classes
        self._names = names
        self._converters = Converters(classes, names)
        self._numbers: dict[tuple[tuple[Link, ...], int | None], int] = {}
        roots = classes.roots.values()
        for form, fields in classes.objects.items():
            of_type = self._of_type(form)
            self._add(names.output(form), None, of_type, Field("", form, Where(form.cls)))
            for field in fields:
                # A root is not the value of a field, so what guards it guards all of its fields.
                links = (*(of_type if form in roots else ()), *self._of_field(form, field))
                self._add(names.output(form), names.member(field), links, field)

    def _add(self, type_name: str, field_name: str | None, links: tuple[Link, ...], field: Field) -> None:
        if not links:
            return
        # Fields that several types inherit are asked about together.
        key = (links, None if field.source is None else id(field.source))
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.all)
            self.all.append(Guard(links, self._converters.shape(field.arguments)))
        self.guarded.append((type_name, field_name, number))

    def _of_type(self, form: ClassForm) -> tuple[Link, ...]:
        """Return the links of a class and its bases, the outermost first."""
        interfaces = {interface.cls: interface for interface in self._classes.implements.get(form, ())}
        links = []
        for cls in reversed(form.cls.__mro__):
            functions = class_permission(cls)
            if functions:
                name = self._names.output(interfaces.get(cls, form))
                links.append(Link(name, None, functions, Where(cls)))
        return tuple(links)

    def _of_field(self, form: ClassForm, field: Field) -> tuple[Link, ...]:
        """Return the links of a field, and of the fields of interfaces that it overrides."""
        links: dict[Where, Link] = {}
        for interface in reversed(self._classes.implements.get(form, ())):
            for above in self._classes.interfaces.get(interface, ()):
                if above.name == field.name:
                    self._link(links, interface, above)
        self._link(links, form, field)
        return tuple(links.values())

    def _link(self, links: dict[Where, Link], form: ClassForm, field: Field) -> None:
        functions = field.options.permission
        if functions and field.where not in links:
            name = self._names.output(form)
            links[field.where] = Link(name, self._names.member(field), functions, field.where)
