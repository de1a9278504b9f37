"""Docstrings as reStructuredText, which autodoc wants: they have Google's sections, and Markdown between."""

from __future__ import annotations

import inspect
import pydoc
import re
import sys
from collections.abc import Iterator
from typing import Any

from public import NAMES
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

SPAN = re.compile(r"(?<![`:\w])`([^`\n]+)`(?!`)")
RAISES = re.compile(r"(?<=^:raises )([A-Z]\w*)(?=:)")
PRIVATE = re.compile(r"Handle\b|\b(WebSocketCall|WsgiRequest|RedisPool|FieldOptions)\b|\bargs: tuple\b")
SECTION = re.compile(r"[A-Z][a-z]+:$")
GOOGLE = Config(napoleon_use_rtype=False, napoleon_use_ivar=True)


def convert(app: Sphinx, what: str, name: str, item: object, options: Any, lines: list[str]) -> None:
    """For autodoc: makes a docstring's lines what docutils reads."""
    rest = GoogleDocstring(list(_markdown(lines)), GOOGLE, app, "object", name, item, options).lines()
    lines[:] = [RAISES.sub(lambda raises: _raises(item, raises), line) for line in rest]


def hide_makers(
    app: Sphinx, what: str, name: str, item: object, options: Any, arguments: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """For autodoc: no arguments for classes that functions make, with parts that only they have."""
    return ("" if arguments and PRIVATE.search(arguments) and what == "class" else arguments, returns)


def _markdown(lines: list[str]) -> Iterator[str]:
    """Fences and indented blocks become literal blocks; spans of code become literals or links."""
    fence: str | None = None
    before, above = "", ""
    for line in lines:
        text = line.lstrip()
        margin = line[: len(line) - len(text)]
        if text.startswith("```"):
            if fence is None:
                fence = margin
                yield from (f"{margin}.. code-block:: {text[3:]}", "")
            else:
                fence = None
                yield ""
        elif fence is not None:
            yield f"    {line}" if text else line
        else:
            if margin and not before and above and not above[0].isspace() and not SECTION.match(above):
                yield from ("::", "")
            yield SPAN.sub(_span, line) if not text.startswith((">>>", "... ")) else line
        before = line
        above = line if text and not margin else above if not text else line


def _raises(item: object, raises: re.Match[str]) -> str:
    """The full name of an exception, where a docstring says it as its module does."""
    module = sys.modules.get(getattr(inspect.unwrap(item), "__module__", None) or "")
    raised = getattr(module, raises[1], None)
    if not inspect.isclass(raised):
        return raises[1]
    return FULL.get(raised) or f"{raised.__module__}.{raised.__qualname__}"


def _span(span: re.Match[str]) -> str:
    text = span[1]
    return f":py:obj:`{text} <{text}>`" if text in NAMES else f"``{text}``"


FULL: dict[Any, str] = {}
"""Exceptions of ours by themselves."""
for _name in sorted(NAMES, key=lambda name: name.count("."), reverse=True):
    _item = pydoc.locate(_name)
    if inspect.isclass(_item) and issubclass(_item, BaseException):
        FULL[_item] = _name
