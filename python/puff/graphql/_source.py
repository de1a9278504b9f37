"""What only the source text tells: lines, docstrings of attributes, imports for type checkers.

All of it is optional: classes typed into a session, or shipped without source, lack it.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ClassText:
    """One class statement.

    Attributes:
        first_line: Its first line, that of a decorator if there is one.
        members: Lines of members by name; that of the ``class`` keyword has none.
        docs: Texts that stand below attributes, by the attributes' names.
    """

    first_line: int
    members: dict[str, int] = field(default_factory=dict)
    docs: dict[str, str] = field(default_factory=dict)


@dataclass
class ModuleText:
    """One module.

    Attributes:
        classes: The class statements of each qualified name.
        imports: What is imported below ``if TYPE_CHECKING``: the module, with its leading dots, and the
            attribute; ``None`` if that is the module itself, empty if it is the module's outermost package.
    """

    classes: dict[str, list[ClassText]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)


def class_text(cls: type) -> tuple[str | None, ClassText | None]:
    """Return the file of a class and its statement there, each ``None`` where there is none to read."""
    try:
        file = inspect.getsourcefile(cls)
    except (OSError, TypeError):
        return None, None
    module = _module_text(file)
    found = module.classes.get(cls.__qualname__, []) if module is not None else []
    if not found:
        return None, None
    # From Python 3.13 on a class knows its line. Before, the last one of a name is the likely one.
    first_line = vars(cls).get("__firstlineno__")
    return file, next((text for text in found if text.first_line == first_line), found[-1])


def late_import(module_globals: Mapping[str, Any], name: str) -> tuple[str, str | None] | None:
    """Return where a module imports ``name`` from for the type checker only."""
    module = _module_text(module_globals.get("__file__"))
    return module.imports.get(name) if module is not None else None


def _module_text(file: str | None) -> ModuleText | None:
    if not file:
        return None
    linecache.checkcache(file)
    return _read("".join(linecache.getlines(file)))


@functools.lru_cache(maxsize=64)
def _read(text: str) -> ModuleText | None:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    reader = _Reader()
    reader.visit(tree)
    return reader.module


class _Reader(ast.NodeVisitor):
    def __init__(self) -> None:
        self.module = ModuleText()
        self._inside: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit_inside(node, node.name, "<locals>")

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        text = ClassText(first, {"": node.lineno})
        name = ".".join([*self._inside, node.name])
        self.module.classes.setdefault(name, []).append(text)
        last: list[str] = []
        for statement in node.body:
            if isinstance(statement, ast.Expr):
                value = statement.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    text.docs.update(dict.fromkeys(last, inspect.cleandoc(value.value)))
                last = []
                continue
            last = _targets(statement)
            for name in last or [getattr(statement, "name", "")]:
                text.members.setdefault(name, statement.lineno)
        self._visit_inside(node, node.name)

    def visit_If(self, node: ast.If) -> None:
        test = node.test
        name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
        if name == "TYPE_CHECKING":
            for statement in node.body:
                self.module.imports.update(_imports(statement))
        self.generic_visit(node)

    def _visit_inside(self, node: ast.AST, *names: str) -> None:
        self._inside.extend(names)
        self.generic_visit(node)
        del self._inside[-len(names) :]


def _targets(statement: ast.stmt) -> list[str]:
    """Return the names that an assignment binds."""
    targets = (
        [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
    )
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _imports(statement: ast.stmt) -> dict[str, tuple[str, str | None]]:
    if isinstance(statement, ast.ImportFrom):
        module = "." * statement.level + (statement.module or "")
        return {alias.asname or alias.name: (module, alias.name) for alias in statement.names}
    if isinstance(statement, ast.Import):
        return {
            alias.asname or alias.name.partition(".")[0]: (alias.name, None if alias.asname else "")
            for alias in statement.names
        }
    return {}
