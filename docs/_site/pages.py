"""Pages as the site shows them."""

from __future__ import annotations

import re

from public import MODULES, NAMES
from sphinx.application import Sphinx

FENCE = re.compile(r"(?ms)^```(?P<language>[a-z]+)(?P<words>[^\n`]*)\n(?P<text>.*?)^```$")
SPAN = re.compile(r"(?<![`\[{}])`(?P<shown>@?(?P<name>puff(\.\w+)*)(\(\))?)`(?![`\]])")

MODULE = """
## {0}

```{{eval-rst}}
.. automodule:: {0}
   :members:
```
"""


def convert(app: Sphinx, name: str, source: list[str]) -> None:
    """For Sphinx: a page's text before it is parsed.

    A block that is a file gets its name as a caption, and one that is a command's output another look;
    `tests/test_guide.py` says what the words after a block's language mean. Between blocks, code that is a
    name of ours leads to the reference.
    """
    if name == "reference/contrib":
        source[0] += "".join(MODULE.format(each) for each in MODULES if each.startswith("puff.contrib."))
    if name.startswith("reference/"):
        return
    text, done, converted = source[0], 0, []
    for fence in FENCE.finditer(text):
        converted += [_link(text[done : fence.start()]), _block(fence)]
        done = fence.end()
    source[0] = "".join([*converted, _link(text[done:])])


def _block(fence: re.Match[str]) -> str:
    words = fence["words"].split()
    if not words or words[0].startswith("{"):
        return fence[0]
    options = [f":caption: {word[len('file=') :]}\n" for word in words if word.startswith("file=")]
    if "output" in words:
        options.append(":class: output\n")
    return f"```{{code-block}} {fence['language']}\n{''.join(options)}\n{fence['text']}```"


def _link(text: str) -> str:
    return SPAN.sub(_reference, text)


def _reference(span: re.Match[str]) -> str:
    return f"{{py:obj}}`{span['shown']} <{span['name']}>`" if span["name"] in NAMES else span[0]
