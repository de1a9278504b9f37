"""Finding the ``Schema`` class that a dotted path names."""

from __future__ import annotations

import importlib
import traceback
from types import ModuleType

from ._schema import require_dataclass
from .errors import SchemaError

_DEFAULT = "Schema"


def load_schema(path: str) -> type:
    """Import and return the schema class that ``path`` names.

    ``pkg.module.Schema`` and ``pkg.module:Schema`` mean the same. Where the path ends at a module, its
    attribute ``Schema`` is taken; so is it where ``pkg.schema`` names no module and ``pkg`` has a ``Schema``.

    Args:
        path: Dotted path, looked up on ``sys.path`` like any import.

    Raises:
        SchemaError: There is no such module or attribute, importing the module failed, or what the path names
            is not a dataclass.

    Example:
        >>> load_schema("puff.graphql:EmptyObject")
        <class 'puff.graphql._objects.EmptyObject'>
    """
    module_path, separator, attribute = path.partition(":")
    if separator:
        return _schema_in(_require(module_path, path), attribute, path)
    module = _import(path, path)
    if module is not None:
        return _schema_in(module, _DEFAULT, path)
    parent, _, attribute = path.rpartition(".")
    return _schema_in(_require(parent or path, path), attribute, path)


def _schema_in(module: ModuleType, attribute: str, path: str) -> type:
    found = getattr(module, attribute, None)
    if found is None and attribute.lower() == _DEFAULT.lower():
        found = getattr(module, _DEFAULT, None)
    if isinstance(found, ModuleType):
        return _schema_in(found, _DEFAULT, path)
    if found is None:
        raise SchemaError(
            f"{path!r} names no schema: the module {module.__name__!r} has no attribute {attribute!r}",
            f"Define the class {attribute or _DEFAULT} there, or correct the path",
            file=module.__file__,
        )
    return require_dataclass(found)


def _require(name: str, path: str) -> ModuleType:
    module = _import(name, path)
    if module is None:
        raise SchemaError(
            f"{path!r} names no schema: there is no module {name!r}",
            "Correct the path, or put the directory that holds the module on PYTHONPATH",
        )
    return module


def _import(name: str, path: str) -> ModuleType | None:
    """Return the module, or ``None`` if there is none of this name."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise SchemaError(
            f"{path!r} is not the path of a schema", "Write package.module.Schema or package.module:Schema"
        )
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only when the module itself or a package above it is missing, not one that it imports in turn.
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            return None
        raise _import_failed(path, error) from error
    except SchemaError:
        raise
    except Exception as error:
        raise _import_failed(path, error) from error


def _import_failed(path: str, error: Exception) -> SchemaError:
    fix = "Repair the module"
    if isinstance(error, NameError):
        fix += (
            "; where a type hint mentions a class that is defined further down, "
            "begin the module with `from __future__ import annotations`"
        )
    if isinstance(error, SyntaxError):
        file, line = error.filename, error.lineno
    else:
        frames = [
            frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename
        ]
        file, line = (frames[-1].filename, frames[-1].lineno) if frames else (None, None)
    message = error.msg if isinstance(error, SyntaxError) else error
    return SchemaError(
        f"loading {path!r} failed with {type(error).__name__}: {message}", fix, file=file, line=line
    )
