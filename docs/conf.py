"""The documentation site: `make docs` builds it into target/docs.

The pages are plain Markdown that reads well without it. What the site adds is done in `_site`: names of files
above their blocks, links from code to the reference. The order of pages is in `index.md`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent / "_site"))

import docstrings
import pages

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Puff"
html_title = "Puff"
copyright = "the Puff team"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_design"]
exclude_patterns = ["_site"]

# What leads nowhere is a warning, and `make docs` takes warnings for errors.
nitpicky = True
OTHERS = "|".join([*sorted(sys.stdlib_module_names), "greenlet", "redis", "django", "channels"])
INSIDE = [
    r"puff\..*\b_\w+\..*|[A-Z]|.*~typing.*",
    "FieldOptions|WsgiRequest|HttpRequest|Context|Class|puff.postgres.extensions.Typecaster",
]
nitpick_ignore_regex = [
    ("py:.*", rf"({OTHERS})\..*"),  # their documentation would have to be fetched to know
    (
        "py:.*",
        "|".join(INSIDE),
    ),  # types in signatures that are inner business, or stand for any
]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
default_role = "code"
autodoc_inherit_docstrings = False  # what a method of another library's class says is in their words
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["puff.css"]
html_favicon = "_static/puff.svg"
html_theme_options = {
    "light_logo": "puff.svg",
    "dark_logo": "puff.svg",
    "light_css_variables": {"color-brand-primary": "#b3471d", "color-brand-content": "#a8431c"},
    "dark_css_variables": {"color-brand-primary": "#ff9d6e", "color-brand-content": "#ff9d6e"},
}
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", pages.convert)
    app.connect("autodoc-process-docstring", docstrings.convert)
    app.connect("autodoc-process-signature", docstrings.hide_makers)
