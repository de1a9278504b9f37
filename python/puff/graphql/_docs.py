"""Descriptions: docstrings, what they say of attributes and parameters, and texts below attributes."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable, Collection
from typing import Any

from ._source import class_text

_ENTRY = re.compile(r"\*{0,2}(\w+)(?: *\([^)]*\))?:(?: +(.*))?")
_PARAMETER = re.compile(r":param(?: [^:]+)? (\w+): *(.*)")


def describe_class(cls: type) -> tuple[str, dict[str, str]]:
    """Return the description of a class and those of its attributes.

    An attribute is described by the text below it, or in the section ``Attributes:`` of the docstring.
    """
    description, attributes = split(_own_docstring(cls), ("Attributes",), None)
    _, text = class_text(cls)
    return description, {**attributes, **(text.docs if text is not None else {})}


def describe_function(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return the description of a resolver and those of its parameters.

    The latter stand in a section ``Args:`` or as ``:param name:``; a section about anything that is not a
    parameter stays in the description.
    """
    try:
        known = set(inspect.signature(inspect.unwrap(function)).parameters)
    except (ValueError, TypeError, NameError):
        known = set()
    doc = inspect.cleandoc(getattr(function, "__doc__", None) or "")
    return split(doc, ("Args", "Arguments", "Parameters"), known | {"cls", "self", "parents", "context"})


def split(doc: str, titles: tuple[str, ...], known: Collection[str] | None) -> tuple[str, dict[str, str]]:
    """Return a docstring without its section of this title, and that section's entries by name.

    Args:
        doc: The docstring, cleaned of its indentation.
        titles: What the section may be called.
        known: Names that entries may have; with any other name the section is left alone. ``None``: any.
    """
    lines = doc.split("\n")
    start = next((at for at, line in enumerate(lines) if line.rstrip() in {f"{t}:" for t in titles}), None)
    if start is None:
        return _split_fields(lines, doc, known)
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or lines[end][0].isspace()):
        end += 1
    entries = _entries(inspect.cleandoc("\n" + "\n".join(lines[start + 1 : end])).split("\n"))
    if not entries or (known is not None and not set(entries) <= set(known)):
        return doc, {}
    return _joined(lines[:start], lines[end:]), entries


def _entries(lines: list[str]) -> dict[str, str]:
    """Return ``name: text`` entries; lines that are indented go on with the entry above."""
    entries: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if line[:1].isspace() or not line:
            current.append(line.strip())
            continue
        found = _ENTRY.fullmatch(line.rstrip())
        if found is None:
            return {}
        current = entries[found[1]] = [found[2] or ""]
    return {name: "\n".join(text).strip() for name, text in entries.items()}


def _split_fields(lines: list[str], doc: str, known: Collection[str] | None) -> tuple[str, dict[str, str]]:
    """Likewise for ``:param name: text``."""
    entries: dict[str, str] = {}
    rest: list[str] = []
    name = None
    for line in lines:
        found = _PARAMETER.fullmatch(line.rstrip())
        if found is not None and known is not None and found[1] in known:
            name = found[1]
            entries[name] = found[2]
        elif name is not None and line[:1].isspace() and line.strip():
            entries[name] = f"{entries[name]}\n{line.strip()}"
        else:
            name = None
            rest.append(line)
    return (_joined(rest, []), entries) if entries else (doc, {})


def _joined(before: list[str], after: list[str]) -> str:
    parts = ("\n".join(lines).strip("\n").rstrip() for lines in (before, after))
    return "\n\n".join(part for part in parts if part)


def _own_docstring(cls: type) -> str:
    """Return a class's own docstring, without the ones that Python makes up."""
    doc = vars(cls).get("__doc__") or ""
    automatic = doc.startswith(f"{cls.__name__}(") and doc.endswith(")") and "\n" not in doc
    if automatic or (issubclass(cls, enum.Enum) and doc == "An enumeration."):
        return ""
    return inspect.cleandoc(doc)
