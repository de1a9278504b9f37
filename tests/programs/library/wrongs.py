"""Schemas of the library that make no sense, and what is said of each."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import filling  # noqa: F401  (sets Django up)

from puff import graphql

HEAD = """
from __future__ import annotations
from dataclasses import dataclass
from shelf.models import *
from shelf import odd
from puff import graphql
from puff.contrib.django import graphql as django
from puff.graphql import Connection
"""
TAIL = """
@dataclass
class Schema:
    query: "Query"
"""

WRONG = {
    "unknown field": """
@django.type(Tag, fields=["word", "wrod"])
class T: pass
""",
    "unknown hint with a relation": """
@django.type(Tag, fields=["word"])
class T:
    wrks: list[T] = django.relation()
""",
    "query name": """
@django.type(Country, fields=["author"])
class T: pass
""",
    "text for a list": """
@django.type(Tag, fields="word")
class T: pass
""",
    "both": """
@django.type(Tag, fields=["word"], exclude=["id"])
class T: pass
""",
    "exclude of nothing": """
@django.type(Tag, exclude=["wrod"])
class T: pass
""",
    "also": """
@django.type(Tag, fields=["word"], also=["works"])
class T: pass
""",
    "a dataclass": """
@django.type(Tag, fields=["word"])
@dataclass
class T: pass
""",
    "get_queryset of objects": """
@django.type(Tag, fields=["word"])
class T:
    def get_queryset(self, queryset, context): return queryset
""",
    "no type": """
@django.type(Sheet, fields=["id", "book"])
class T: pass
@dataclass
class Query:
    sheets = django.objects(list[T])
""",
    "no type of a model": """
@dataclass
class Other: x: int
@django.type(Sheet, fields=["id"])
class T:
    book: Other
@dataclass
class Query:
    sheets = django.objects(list[T])
""",
    "type of another model": """
@django.type(Tag, fields=["word"])
class T: pass
@django.type(Sheet, fields=["id"])
class S:
    book: T
@dataclass
class Query:
    sheets = django.objects(list[S])
""",
    "one for many": """
@django.type(Work, fields=["id"])
class W: pass
@django.type(Tag, fields=["word"])
class T:
    works: W
@dataclass
class Query:
    tags = django.objects(list[T])
""",
    "unknown name": """
@django.type(Tag, fields=["word"])
class T:
    works: list[Wrok]
@dataclass
class Query:
    tags = django.objects(list[T])
""",
    "field without a type": """
@django.type(odd.Odd, fields=["id", "strange"])
class T: pass
""",
    "generic relation": """
@django.type(odd.Odd, fields=["id", "target"])
class T: pass
""",
    "wrong lookup": """
@django.filter(Work, {"title": ["containts"]})
class F: pass
""",
    "wrong path": """
@django.filter(Work, {"athor__name": ["exact"]})
class F: pass
""",
    "no method": """
@django.filter(Work)
class F:
    popular: bool | None = None
""",
    "filter of another model": """
@django.filter(Tag, ["word"])
class F: pass
@django.type(Work, fields=["id"])
class W: pass
@dataclass
class Query:
    works = django.objects(list[W], filters=F)
""",
    "order of many": """
@django.type(Work, fields=["id"])
class W: pass
@dataclass
class Query:
    works = django.objects(list[W], order="tags__word")
""",
    "order of nothing": """
@django.type(Work, fields=["id"])
class W: pass
@dataclass
class Query:
    works = django.objects(list[W], orders=["titel"])
""",
    "one without by": """
@django.type(Work, fields=["id"])
class W: pass
@dataclass
class Query:
    work = django.objects("W | None")
""",
    "by for many": """
@django.type(Work, fields=["id"])
class W: pass
@dataclass
class Query:
    works = django.objects(list[W], by="id")
""",
    "limit": """
@django.type(Work, fields=["id"])
class W: pass
@dataclass
class Query:
    works = django.objects(list[W], limit=500)
""",
    "hint on objects": """
@django.type(Work, fields=["id"])
class W: pass
@dataclass
class Query:
    works: list[W] = django.objects(list[W])
""",
    "relation elsewhere": """
@dataclass
class Query:
    works = django.relation()
""",
}


def main() -> None:
    """Prints what is said of each, without the place in front."""
    here = Path.cwd()
    sys.path.insert(0, str(here))
    for number, (name, text) in enumerate(WRONG.items()):
        module = f"wrong_{number}"
        query = (
            "" if "class Query" in text else "@dataclass\nclass Query:\n    x = django.objects('list[T]')\n"
        )
        (here / f"{module}.py").write_text(HEAD + text + query + TAIL)
        try:
            graphql.build_schema(importlib.import_module(module).Schema)
        except graphql.SchemaError as error:
            place = f"{here / module}.py:{error.line}: "
            print(f"{name}: {str(error).removeprefix(place)}")
        else:
            print(f"{name}: nothing")
