"""Types of models whose managers do not give all there is, or not the same each time."""

from __future__ import annotations

import json

from django_shop import Shop, environment

SCHEMA = """
from __future__ import annotations

from dataclasses import dataclass

from common import *
from django.db import models

from puff import graphql
from puff.contrib.django import graphql as django
SHOWN = ["tea"]


class Shown(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(name__in=list(SHOWN))


class Drink(models.Model):
    name = models.TextField()
    objects = Shown()
    everything = models.Manager()

    class Meta:
        app_label = "shop"


@django.type(Drink, fields=["name"])
class ShownType:
    pass


@dataclass
class Query:
    shown = django.objects("list[ShownType]", order=["name"])
    few = django.objects("list[ShownType]", order=["name"], limit=10)
    one = django.objects("ShownType | None", by="name")



@dataclass
class Schema:
    query: Query
"""

PROGRAM = """
import json

from schema_of_shown import *

import puff


def main():
    gql = puff.global_graphql()
    with connection.schema_editor() as editor:
        editor.create_model(Drink)
    Drink.everything.bulk_create(Drink(name=name) for name in ("tea", "milk", "sugar"))
    for names in (["tea"], ["tea", "milk"], []):
        SHOWN[:] = names
        answer = gql.query('{ shown { name } few { name } one(name: "milk") { name } }')
        print(json.dumps(answer.get("data") or answer))
    with connection.schema_editor() as editor:
        editor.delete_model(Drink)
"""


def test_a_manager_is_asked_each_time(shop: Shop) -> None:
    (shop.folder / "schema_of_shown.py").write_text(SCHEMA)
    (shop.folder / "program_of_shown.py").write_text(PROGRAM)
    env = {**environment(), "PUFF_GRAPHQL": "schema_of_shown:Schema"}
    done = shop.puff("run", "program_of_shown.main", cwd=shop.folder, env=env)
    assert done.returncode == 0, done.stderr
    tea, milk = {"name": "tea"}, {"name": "milk"}
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"shown": [tea], "few": [tea], "one": None},
        {"shown": [milk, tea], "few": [milk, tea], "one": milk},
        {"shown": [], "few": [], "one": None},
    ]
