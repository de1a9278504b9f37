"""Finding the file and line of a class or one of its members, for error messages only."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass

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
        try:
            file = inspect.getsourcefile(self.cls)
            lines, first = inspect.getsourcelines(self.cls)
        except (OSError, TypeError):
            return None, None
        return file, first + _offset(lines, self.member)

    def __str__(self) -> str:
        file, line = self.source()
        name = f"{self.cls.__module__}.{self.cls.__qualname__}"
        return name if file is None else f"{name} ({file}:{line})"


def _offset(lines: list[str], member: str | None) -> int:
    """Return how many lines below the first one ``member`` (or the ``class`` line itself) stands."""
    try:
        body = ast.parse(textwrap.dedent("".join(lines))).body
    except SyntaxError:
        # An indented class with text that is not: a docstring that begins at the margin cannot be dedented.
        return 0
    for cls in body:
        for node in getattr(cls, "body", []):
            if member is not None and member in _names(node):
                return int(node.lineno) - 1
    # `lineno` of a class is its `class` line, below any decorators.
    return body[0].lineno - 1


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.name]
    targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
    return [target.id for target in targets if isinstance(target, ast.Name)]
