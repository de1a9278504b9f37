"""Finding the file and line of a class or one of its members, for error messages only."""

from __future__ import annotations

from dataclasses import dataclass

from ._source import class_text
from .errors import SchemaError


class Problem(Exception):
    """Something wrong with an annotation, a name or a default, found where its place is not known.

    Code that knows the place turns it into a ``SchemaError`` with ``Where.error``; ``where`` is set on the
    way there by code that knows it more exactly.
    """

    where: Where | None = None

    def __init__(self, problem: str, fix: str) -> None:
        self.problem = problem
        self.fix = fix
        super().__init__(problem)


@dataclass(frozen=True)
class Where:
    """A place in the user's classes. Cheap to make: source is read only when an error is reported."""

    cls: type
    member: str | None = None
    argument: str | None = None

    def of_argument(self, name: str) -> Where:
        """Return the place of one parameter of this resolver."""
        return Where(self.cls, self.member, name)

    def error(self, problem: Problem) -> SchemaError:
        """Return the error that a user sees for ``problem`` at this place."""
        file, line = self.source()
        return SchemaError(
            problem.problem,
            problem.fix,
            class_name=self.cls.__name__,
            field=self.member,
            argument=self.argument,
            file=file,
            line=line,
        )

    def source(self) -> tuple[str | None, int | None]:
        """Return file and line, each ``None`` when the class has no source to read."""
        file, text = class_text(self.cls)
        if text is None:
            return file, None
        return file, text.members.get(self.member or "", text.members[""])

    def __str__(self) -> str:
        file, line = self.source()
        name = f"{self.cls.__module__}.{self.cls.__qualname__}"
        return name if file is None else f"{name} ({file}:{line})"
