"""Compares the statements that `query_and_params` has kept with those that Django compiles anew."""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from querysets import CASES, FIELDS, books, by_chance, when
from shelf.models import Genre

from puff.contrib.django import QuerysetError, _queries, query_and_params
from puff.contrib.django._seen import Seen, shape_of

# Of conditions: those that fit, and those that Django finds too large, drops, or makes another text of.
NUMBERS: list[Any] = [0, 1, 7, 2**31, -(2**40), 2**70, 2.5, "3"]
TEXTS: list[Any] = ["", "o", "50% off", "it's", "back\\slash", "Größe", Genre.POEM]
KEYS: list[Any] = [[], [1], [2, 2, 3], [None], [1, None, 5], [2**40, 1], range(3), (4,), {6}, ["1", 2]]
PLAIN: list[tuple[str, list[Any]]] = [
    *((f"pages{lookup}", NUMBERS) for lookup in ("", "__gt", "__gte", "__lt", "__lte")),
    *(
        (f"title__{lookup}", TEXTS)
        for lookup in ("iexact", "contains", "icontains", "startswith", "istartswith", "endswith", "regex")
    ),
    ("title", TEXTS),
    ("genre", TEXTS),
    ("genre__in", [["poem"], ["poem", "play"], [Genre.PLAY], []]),
    ("pk__in", KEYS),
    ("author__in", KEYS),
    ("author", [1, 2]),
    ("author__name", TEXTS),
    ("author__country__label__startswith", TEXTS),
    ("author__rating__gt", [0.5, 1, Decimal("1.5")]),
    ("lent", [True, False]),
    ("shelf", [1, 2, None]),
    ("shelf__isnull", [True, False]),
    ("price__lte", [Decimal("0.07"), 5, Decimal(10) ** 6]),
    ("pages__range", [(1, 100), (50, 60)]),
    ("key", [uuid.UUID(int=3)]),
    ("added__gte", [when(3), when(28)]),
    ("read_at__gt", [datetime.time(7), datetime.time(9)]),
    ("length__gte", [datetime.timedelta(hours=3)]),
    ("sheet", [None, 1]),
    ("data__n__gte", [5]),
    ("tags__word", TEXTS),
]


def plain_by_chance(chance: random.Random) -> Any:
    """Some queryset of conditions that have nothing but values on the right."""
    queryset = books.all()
    for _ in range(chance.randrange(4)):
        name, values = chance.choice(PLAIN)
        condition = Q(**{name: chance.choice(values)})
        if chance.random() < 0.3:
            name, values = chance.choice(PLAIN)
            other = Q(**{name: chance.choice(values)})
            condition = chance.choice([condition | other, condition | ~other, condition ^ other])
        queryset = queryset.exclude(condition) if chance.random() < 0.2 else queryset.filter(condition)
    change = chance.randrange(8)
    if change < 2:
        queryset = queryset.values(*chance.sample(FIELDS, 2))
    elif change == 2:
        queryset = queryset.only("title", "author__name").select_related("author")
    elif change == 3:
        queryset = queryset.defer(chance.choice(["title", "notes"]))
    elif change == 4:
        queryset = queryset.distinct()
    order = chance.choice([[], ["pk"], ["-pages", "author__name"], ["?"]])
    if order or chance.random() < 0.2:
        queryset = queryset.order_by(*order)
    return queryset[: chance.choice([1, 2])] if chance.random() < 0.3 else queryset


@transaction.atomic
def seen() -> None:
    """What is kept of querysets that differ in values is the statement that Django compiles for each."""
    made: list[Callable[[], Any]] = [make for name, make in CASES.items() if "sql" not in name] * 2
    made += [lambda seed=seed: by_chance(random.Random(seed)) for seed in range(400)]
    made += [lambda seed=seed: plain_by_chance(random.Random(seed)) for seed in range(6000)]
    kept, wrong, hits = Seen(), 0, 0
    for make in made:
        answers: list[Any] = []
        for store in (kept, Seen()):
            _queries._seen = store
            try:
                answers.append(query_and_params(make()))
            except (QuerysetError, ValueError) as error:
                answers.append(str(error))
        queryset = make()
        if isinstance(queryset, QuerySet):
            shape = shape_of(queryset.query, "default", frozenset())
            hits += (
                shape is not None
                and kept.statement(shape, queryset.query.get_compiler("default")) is not None
            )
        if answers[0] != answers[1]:
            wrong += 1
            print(*answers, sep="\n")
    print(f"{len(made)} querysets, {hits} kept, {wrong} differ")
    assert hits > len(made) / 3, hits
