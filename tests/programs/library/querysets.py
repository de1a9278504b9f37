"""Compares the rows of `query_and_params(queryset)` with what Django makes of the queryset itself."""

from __future__ import annotations

import datetime
import enum
import random
import re
import sys
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import filling
from django.contrib.postgres.aggregates import ArrayAgg, StringAgg
from django.db import transaction
from django.db.models import (
    Avg,
    BooleanField,
    Case,
    Count,
    DecimalField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    FloatField,
    IntegerField,
    Max,
    OuterRef,
    Q,
    StdDev,
    Subquery,
    Sum,
    TextField,
    Value,
    When,
    Window,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import (
    Cast,
    Coalesce,
    Concat,
    ExtractYear,
    JSONObject,
    Length,
    Lower,
    Now,
    Rank,
    Round,
    RowNumber,
    Substr,
    TruncDate,
    TruncDay,
    TruncHour,
    TruncMonth,
    Upper,
)
from django.utils.dateparse import parse_duration
from django.utils.functional import lazystr
from shelf.models import Author, Book, Country, Genre, Sheet, Tag, Work

import puff
from puff.contrib.django import Parameter, QuerysetError, prepared, query_and_params


class Plain(enum.Enum):
    LONG = 250


def when(day: int) -> datetime.datetime:
    moment = datetime.datetime(2021, 1, day, 12, 30)
    from django.conf import settings

    return moment.replace(tzinfo=datetime.timezone.utc) if settings.USE_TZ else moment


books, authors, works = Book.objects, Author.objects, Work.objects
first_book = books.filter(author=OuterRef("pk")).order_by("pk")

CASES: dict[str, Callable[[], Any]] = {
    "all": lambda: books.all(),
    "manager": lambda: Author.objects,
    "related manager": lambda: Author.objects.order_by("pk")[0].works.all(),
    "many to many manager": lambda: Tag.objects.get(word="50% off").works.order_by("pk"),
    "db_column": lambda: Country.objects.order_by("label"),
    "filters": lambda: books.filter(pages__gt=100, title__icontains="o").exclude(shelf=2),
    "per cent": lambda: books.filter(title__contains="100%"),
    "quotes and backslashes": lambda: Tag.objects.filter(
        Q(word="it's") | Q(word="back\\slash") | Q(word='a"b')
    ),
    "in": lambda: books.filter(pk__in=[1, 2, 3, 10**12]).order_by("pk"),
    "in texts": lambda: books.filter(genre__in=["novel", Genre.POEM]),
    "in uuids": lambda: books.filter(key__in=[uuid.UUID(int=3), uuid.UUID(int=4)]),
    "in dates": lambda: authors.filter(born__in=[datetime.date(1901, 2, 3), datetime.date(1902, 3, 3)]),
    "in decimals": lambda: books.filter(price__in=[Decimal("12.5"), Decimal("0.07"), 5]),
    "in subquery": lambda: books.filter(author__in=authors.filter(rating__gt=1)),
    "in expressions": lambda: books.filter(pages__in=[F("shelf"), Value(3), 7]),
    "in json": lambda: books.filter(data__s__in=["x'y", "z"]),
    "in addresses": lambda: books.filter(seen_from__in=["10.0.0.1", "::1"]),
    "in moments": lambda: works.filter(added__in=list(works.values_list("added", flat=True)[:5])),
    "not in": lambda: books.exclude(pk__in=[1, 2, 3]),
    "moments": lambda: works.filter(added__gte=when(5), added__lt=when(28)),
    "moments by part": lambda: works.filter(added__year=2021, added__date__gte=datetime.date(2021, 2, 1)),
    "times": lambda: books.filter(read_at__gt=datetime.time(7)),
    "durations": lambda: books.filter(length__gte=datetime.timedelta(hours=3)),
    "decimals": lambda: books.filter(price__gte=Decimal("0.07")),
    "floats": lambda: authors.filter(rating__in=[0.1, 1 / 3, 7.0]),
    "booleans": lambda: books.filter(lent=True),
    "bytes": lambda: books.filter(cover=b"\x03\x00\xff"),
    "choices": lambda: books.filter(genre=Genre.PLAY),
    "enums": lambda: books.filter(pages__gt=Plain.LONG.value),
    "lazy texts": lambda: books.filter(genre=lazystr("poem")),
    "range contains": lambda: books.filter(years__contains=3),
    "range overlaps": lambda: books.filter(years__overlap=filling.NumericRange(2, 9)),
    "range empty": lambda: books.filter(years__isempty=True),
    "array contains": lambda: books.filter(words__contains=["it's"]),
    "array overlaps": lambda: books.filter(marks__overlap=[1, 5]),
    "array empty": lambda: books.filter(words=[]),
    "array index": lambda: books.filter(words__0="two"),
    "array length": lambda: books.filter(words__len=2),
    "hstore has key": lambda: books.filter(notes__has_key="a"),
    "hstore contains": lambda: books.filter(notes__contains={"a": "1"}),
    "hstore has keys": lambda: books.filter(notes__has_keys=["a", 'b"']),
    "json key": lambda: books.filter(data__n__gte=5),
    "json contains": lambda: books.filter(data__contains={"s": "x'y"}),
    "json has key": lambda: books.filter(data__has_key="n"),
    "json list": lambda: books.filter(data__contains=[1]),
    "json exact": lambda: books.filter(data="text"),
    "json path": lambda: authors.filter(facts__name__first="A3").values(
        "name", "facts__name__first", "facts__list"
    ),
    "json null": lambda: books.filter(data__isnull=True),
    "address": lambda: books.filter(seen_from="10.0.0.1"),
    "regex": lambda: books.filter(title__iregex=r"book \d$"),
    "or": lambda: books.filter(Q(pages__lt=50) | ~Q(genre="novel") & Q(lent=False)),
    "across relations": lambda: works.filter(
        author__country__label__startswith="S", tags__word="red"
    ).distinct(),
    "values": lambda: books.values("title", "author", "author__name", "author__country__label", "pages"),
    "values of all": lambda: Author.objects.values(),
    "values_list": lambda: books.values_list("title", "pages"),
    "values_list flat": lambda: books.values_list("author__name", flat=True),
    "values with expressions": lambda: books.values(low=Lower("title"), double=F("pages") * 2),
    "values in another order": lambda: books.annotate(n=Length("title")).values("n", "title", "pk"),
    "only": lambda: books.only("title", "price"),
    "defer": lambda: books.defer("data", "notes"),
    "inherited": lambda: Book.objects.filter(title__startswith="Book 1"),
    "select_related": lambda: works.select_related("author"),
    "select_related deep": lambda: works.select_related("author__country"),
    "select_related back": lambda: books.select_related("author").filter(sheet=None),
    "select_related only": lambda: works.select_related("author").only("title", "author__name"),
    "filtered relation": lambda: authors.annotate(
        new=FilteredRelation("works", condition=Q(works__title="Book 3"))
    ).values("name", "new__title"),
    "order": lambda: books.order_by("-pages", "title"),
    "order nulls": lambda: books.order_by(F("price").desc(nulls_last=True), "pk"),
    "order random text": lambda: books.order_by(Lower("title").desc()),
    "slice": lambda: books.order_by("pk")[5:12],
    "slice beginning": lambda: books.order_by("pk")[:3],
    "distinct": lambda: books.values("genre").distinct(),
    "distinct on": lambda: books.order_by("genre", "-pages").distinct("genre"),
    "distinct with order": lambda: (
        books.annotate(start=Substr("title", 1, 6)).values("start").distinct().order_by("start")
    ),
    "distinct with a function": lambda: books.order_by(Substr("title", 1, 6)).distinct(),
    "none": lambda: books.none(),
    "empty in": lambda: books.filter(pk__in=[]),
    "empty slice": lambda: books.all()[3:3],
    "empty union": lambda: authors.none().union(authors.none()),
    "empty having": lambda: authors.annotate(n=Count("works")).filter(n__in=[]),
    "annotation": lambda: authors.annotate(n=Count("works")),
    "annotation filtered": lambda: authors.annotate(
        n=Count("works", filter=Q(works__title__contains="1"))
    ).filter(n__gt=1),
    "group": lambda: books.values("genre").annotate(
        n=Count("pk"), mean=Avg("pages"), all=Sum("sold"), top=Max("price")
    ),
    "group by expression": lambda: (
        books.values(start=Substr("title", 1, 6)).annotate(n=Count("pk")).order_by(Upper("start"))
    ),
    "group by several": lambda: (
        books.annotate(kind=Case(When(pages__gt=Value(100), then=Value("long")), default=Value("short")))
        .values("kind", "genre")
        .annotate(n=Count("*"))
        .filter(n__gt=Value(2))
        .order_by(Concat("kind", Value("!")), "genre")
    ),
    "group by month": lambda: (
        works.annotate(month=TruncMonth("added")).values("month").annotate(n=Count("pk")).order_by("month")
    ),
    "aggregates": lambda: authors.annotate(
        sum=Sum("works__book__pages"), mean=Avg("works__book__price"), wide=StdDev("works__book__pages")
    ),
    "array_agg": lambda: authors.annotate(
        titles=ArrayAgg("works__title", default=Value([]), ordering="works__title")
    ),
    "string_agg": lambda: authors.annotate(
        titles=StringAgg("works__title", delimiter=", ", ordering="works__title")
    ),
    "exists": lambda: authors.annotate(any=Exists(first_book.filter(lent=True))).order_by("pk"),
    "exists in filter": lambda: authors.filter(~Exists(first_book)),
    "subquery": lambda: authors.annotate(first=Subquery(first_book.values("title")[:1])),
    "case": lambda: books.annotate(
        size=Case(
            When(pages__lt=100, then=Value("s")), When(pages__lt=300, then=Value("m")), default=Value("l")
        )
    ),
    "case of numbers": lambda: books.annotate(
        size=Case(When(pages__lt=100, then=1), default=2, output_field=IntegerField())
    ),
    "value": lambda: books.annotate(
        a=Value("a"), b=Value(2), c=Value(True), d=Value(Decimal("1.5")), e=Value(None, BooleanField())
    ),
    "coalesce": lambda: books.annotate(cost=Coalesce("price", Decimal(0)), place=Coalesce("shelf", 0)),
    "concat": lambda: books.annotate(
        both=Concat("title", Value(" by "), "author__name", output_field=TextField())
    ),
    "arithmetic": lambda: books.annotate(
        x=F("pages") * 2 + 1, y=F("pages") / 7, z=F("pages") % 5, w=F("price") * Decimal("1.1")
    ),
    "wrapped": lambda: books.annotate(
        x=ExpressionWrapper(F("pages") * 0.5, FloatField()),
        y=ExpressionWrapper(F("price") + 1, DecimalField()),
    ),
    "whole numbers of fractions": lambda: books.annotate(
        x=ExpressionWrapper(F("pages") / Value(2.0), IntegerField())
    ),
    "casts": lambda: books.annotate(a=Cast("pages", FloatField()), b=Cast("title", TextField())),
    "rounding": lambda: authors.annotate(x=Round("rating", precision=1)),
    "durations between": lambda: works.annotate(
        age=ExpressionWrapper(Value(when(3)) - F("added"), DurationField())
    ),
    "durations added": lambda: works.annotate(later=F("added") + datetime.timedelta(days=2)),
    "json object": lambda: books.annotate(o=JSONObject(title="title", n=F("pages"), fix=Value("x"))),
    "parts of moments": lambda: works.annotate(
        year=ExtractYear("added"), month=F("added__month"), quarter=F("added__quarter")
    ),
    "truncated": lambda: works.annotate(
        day=TruncDay("added"), date=TruncDate("added"), hour=TruncHour("added", tzinfo=datetime.timezone.utc)
    ),
    "truncated dates": lambda: authors.annotate(month=TruncMonth("born")),
    "dates": lambda: authors.dates("born", "year"),
    "datetimes": lambda: works.datetimes("added", "month", order="DESC"),
    "window": lambda: books.annotate(
        place=Window(RowNumber(), partition_by="genre", order_by=F("pages").desc()),
        total=Window(Sum("pages"), partition_by="genre"),
        mean=Window(Avg("pages"), partition_by="genre"),
    ),
    "filter by window": lambda: (
        books.annotate(place=Window(Rank(), partition_by="genre", order_by=("-pages", "pk")))
        .filter(place__lte=2)
        .order_by("genre", "place")
    ),
    "filter by window of values": lambda: (
        books.alias(place=Window(Rank(), partition_by="genre", order_by=("-pages", "pk")))
        .filter(place__lte=2)
        .order_by("genre", "title")
        .values("title", "author__name")
    ),
    "union": lambda: authors.filter(pk__lt=3).union(authors.filter(pk__gt=9)).order_by("-pk"),
    "union of values": lambda: (
        authors.values_list("name").union(Tag.objects.values_list("word"), all=True).order_by("name")
    ),
    "union with means": lambda: (
        authors.values("name")
        .annotate(x=Avg("works__book__pages"))
        .union(authors.values("name").annotate(x=Avg("works__book__sold")))
        .order_by("name", "x")
    ),
    "union of slices": lambda: (
        authors.order_by("pk")[:2].union(authors.order_by("-pk")[:2]).order_by("name")[1:3]
    ),
    "intersection": lambda: authors.filter(pk__lt=6).intersection(authors.filter(pk__gt=3)),
    "difference": lambda: authors.all().difference(authors.filter(country=None)).order_by("pk"),
    "union of models": lambda: (
        works.values("pk", "title").union(authors.values("pk", "name")).order_by("pk", "title")
    ),
    "extra": lambda: books.extra(
        select={"loud": "upper(title) || %s"},
        select_params=["!%"],
        where=["pages > %s", "title LIKE '%%o%%'"],
        params=[30],
    ),
    "extra tables": lambda: Tag.objects.extra(
        tables=["shelf_country"], where=["shelf_country.code = %s"], params=["CH"]
    ),
    "raw sql": lambda: books.annotate(x=RawSQL("pages %% %s", [7]), y=RawSQL("%s || title || '%%'", ["a'b"])),
    "raw sql of any": lambda: books.annotate(x=RawSQL("concat(%s, title, %s)", ["<", ">"])),
    "raw sql of tuples": lambda: books.filter(
        pk__in=RawSQL("SELECT id FROM shelf_work WHERE id IN %s", [(1, 2)])
    ),
    "raw sql not in": lambda: books.extra(where=["pages NOT IN (%s, %s)"], params=[3, 4]),
    "reversed": lambda: books.order_by("pk").reverse()[:5],
    "using": lambda: books.using("default").filter(pk=1),
    "for update": lambda: books.select_for_update(of=("self",)).filter(pk=1),
    "now": lambda: works.filter(added__lt=Now()).values("pk"),
    "aggregates of annotations": lambda: (
        authors.annotate(n=Count("works")).values("n").annotate(m=Count("pk", distinct=True)).order_by("n")
    ),
    "primary keys": lambda: books.values("pk"),
    "one to one back": lambda: books.values("title", "sheet__id"),
    "foreign key values": lambda: Sheet.objects.values("book", "book__author__name", "book_id"),
    "naming": lambda: books.annotate(Größe=F("pages")),
}


# ---------------------------------------------------------------- comparing


def plain(value: Any) -> Any:
    """Makes the two drivers' objects for one value equal."""
    if isinstance(value, memoryview):
        return bytes(value)
    if hasattr(value, "lower_inc"):
        ends = ("" if end is None else end for end in (value.lower, value.upper))
        return "empty" if value.isempty else "{}{},{}{}".format(value._bounds[0], *ends, value._bounds[1])
    if isinstance(value, str) and re.match(r"-?\d+ days? |-?\d\d:\d\d:\d\d\.", value):
        return parse_duration(value)  # intervals come as texts
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.timezone.utc)
    if hasattr(value, "name") and hasattr(value, "storage"):
        return value.name
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    return value


def attribute(thing: Any, path: str) -> Any:
    for name in [path] if hasattr(thing, path) else path.split("__"):
        thing = None if thing is None else getattr(thing, name)
    return thing


def expected(queryset: Any, columns: list[str]) -> Iterable[dict[str, Any]]:
    """The rows as Django has them, with these names."""
    for row in queryset.all() if hasattr(queryset, "all") else queryset:
        if isinstance(row, dict):
            yield {name: plain(value) for name, value in row.items()}
        elif isinstance(row, tuple):
            # Before Django 5.2, columns were selected in another order than tuples have.
            names = getattr(queryset, "_fields", None) or columns
            yield dict(zip(names if set(names) == set(columns) else columns, map(plain, row), strict=True))
        elif hasattr(row, "_meta"):
            loaded = {name for name in vars(row) if not name.startswith("_")} - {"work_ptr"}
            assert {name for name in columns if "__" not in name} == loaded, (columns, loaded)
            yield {name: plain(attribute(row, name)) for name in columns}
        else:
            yield {columns[0]: plain(row)}


def rows(queryset: Any) -> list[dict[str, Any]]:
    sql, params = query_and_params(queryset)
    return [
        {name: plain(value) for name, value in row.items()}
        for row in puff.global_postgres().query(sql, params)
    ]


def difference(queryset: Any) -> str | None:
    """What is wrong with a queryset; None if both have the same rows, in the same order if they have one."""
    mine = rows(queryset)
    if not mine:
        theirs = list(queryset.all())
        return None if not theirs else f"{len(theirs)} rows are missing"
    theirs = list(expected(queryset, list(mine[0])))
    if not (hasattr(queryset, "query") and queryset.query.order_by):
        mine, theirs = sorted(mine, key=repr), sorted(theirs, key=repr)
    if mine == theirs:
        return None
    for one, other in zip(mine, theirs, strict=False):
        if one != other:
            names = [name for name in {**one, **other} if one.get(name, ...) != other.get(name, ...)]
            return "; ".join(
                f"{name}: {one.get(name, ...)!r} is not {other.get(name, ...)!r}" for name in names
            )
    return f"{len(mine)} rows, not {len(theirs)}"


@transaction.atomic
def cases() -> int:
    wrong = 0
    for name, make in CASES.items():
        try:
            found = difference(make())
        except Exception as error:
            if "-v" in sys.argv:
                raise
            found = f"{type(error).__name__}: {error}"
        if found:
            wrong += 1
            print(f"{name}: {found}")
    print(f"{len(CASES)} querysets, {wrong} differ")
    return wrong


# ---------------------------------------------------------------- chance

FILTERS: list[Callable[[random.Random], Q]] = [
    lambda chance: Q(pages__gt=chance.randrange(500)),
    lambda chance: Q(pages__in=[chance.randrange(500) for _ in range(chance.randrange(30))]),
    lambda chance: Q(sold__lte=chance.randrange(10**12)),
    lambda chance: Q(title__contains=chance.choice(["1", "100%", "'", "%s", "\\", "_", "$1"])),
    lambda chance: Q(title__istartswith=chance.choice(["book 1", "BOOK", "x"])),
    lambda chance: Q(genre=chance.choice(Genre.choices)[0]),
    lambda chance: Q(price=chance.choice([Decimal("12.50"), 3, Decimal("0.07")])),
    lambda chance: Q(price__range=(chance.randrange(5), Decimal(chance.randrange(5, 60)))),
    lambda chance: Q(author__name__endswith=str(chance.randrange(12))),
    lambda chance: Q(author__country__in=chance.sample(["CH", "IE", "JP"], 2)),
    lambda chance: Q(author__rating__gte=chance.choice([0.1, 1 / 3, 2.5])),
    lambda chance: Q(author__born__lt=datetime.date(1900 + chance.randrange(12), 6, 1)),
    lambda chance: Q(tags__word__in=["50% off", "it's", 'a"b']),
    lambda chance: Q(added__lt=when(1 + chance.randrange(30))),
    lambda chance: Q(added__month=chance.randrange(1, 13)),
    lambda chance: Q(shelf__isnull=chance.random() < 0.5),
    lambda chance: Q(lent=chance.random() < 0.5),
    lambda chance: Q(words__overlap=chance.choice([["one"], ["it's", "NULL"], []])),
    lambda chance: Q(marks__contains=[chance.randrange(6)]),
    lambda chance: Q(data__n=chance.randrange(60)),
    lambda chance: Q(data__has_any_keys=["n", "x"]),
    lambda chance: Q(years__contains=chance.randrange(8)),
    lambda chance: Q(key__in=[uuid.UUID(int=chance.randrange(60)) for _ in range(9)]),
    lambda chance: Q(pages__lt=F("sold") / chance.randrange(1, 10**10)),
    lambda chance: Q(Exists(Sheet.objects.filter(book=OuterRef("pk"), id__gt=chance.randrange(20)))),
    lambda chance: Q(author__in=authors.filter(rating__gt=chance.random()).values("pk")),
    lambda chance: Q(read_at__hour=chance.choice([7, 23])),
    lambda chance: Q(scan=""),
]
ANNOTATIONS: list[Callable[[random.Random], Any]] = [
    lambda chance: F("pages") * chance.randrange(9) + 1,
    lambda chance: ExpressionWrapper(F("pages") / Value(chance.choice([2.0, 3])), FloatField()),
    lambda chance: ExpressionWrapper(F("price") * chance.randrange(3), DecimalField()),
    lambda chance: Concat(Upper("title"), Value(chance.choice(["%", "'", "\\n"]))),
    lambda chance: Substr("title", 1, chance.randrange(1, 9)),
    lambda chance: Case(When(pages__gt=chance.randrange(400), then=Value("long")), default=Value("short")),
    lambda chance: Coalesce("shelf", chance.randrange(9)),
    lambda chance: ExtractYear("added"),
    lambda chance: TruncMonth("added"),
    lambda chance: TruncDate("added"),
    lambda chance: Value(chance.choice([1, "x", Decimal("1.50"), 2.5, True, datetime.date(2020, 1, 2)])),
    lambda chance: Subquery(Sheet.objects.filter(book=OuterRef("pk")).values("id")[:1]),
    lambda chance: JSONObject(a="pages", b=Value("c")),
    lambda chance: F("data__n"),
    lambda chance: Window(Sum("pages"), partition_by="genre"),
]
GROUPS: list[Callable[[random.Random], Any]] = [
    lambda chance: Count("pk", distinct=True),
    lambda chance: Count("pk", filter=Q(pages__gt=chance.randrange(400))),
    lambda chance: Sum("pages"),
    lambda chance: Sum("sold", filter=Q(lent=True)),
    lambda chance: Avg("pages"),
    lambda chance: Avg("price"),
    lambda chance: Max("added"),
    lambda chance: StdDev("pages"),
]
FIELDS = [
    "title",
    "genre",
    "pages",
    "price",
    "author__name",
    "author",
    "added",
    "lent",
    "words",
    "data",
    "shelf",
]


def by_chance(chance: random.Random) -> Any:
    """Some queryset of books."""
    queryset = books.all()
    for _ in range(chance.randrange(3)):
        condition = chance.choice(FILTERS)(chance)
        if chance.random() < 0.3:
            condition |= ~chance.choice(FILTERS)(chance)
        queryset = queryset.exclude(condition) if chance.random() < 0.2 else queryset.filter(condition)
    shape = chance.choice(["objects", "values", "tuples", "groups"])
    annotations = {f"a{n}": chance.choice(ANNOTATIONS)(chance) for n in range(chance.randrange(3))}
    if shape == "groups":
        group = chance.sample(["genre", "lent", "author__country__label", "shelf"], chance.randrange(1, 3))
        expressions = {f"g{n}": chance.choice(GROUPS)(chance) for n in range(chance.randrange(1, 4))}
        return queryset.order_by().values(*group).annotate(**expressions).order_by(*group)
    queryset = queryset.annotate(**annotations)
    if shape == "objects":
        change = chance.choice(["", "only", "defer", "related"])
        if change == "only":
            queryset = queryset.only("title", chance.choice(["price", "genre", "data"]))
        elif change == "defer":
            queryset = queryset.defer("notes", chance.choice(["title", "cover"]))
        elif change == "related":
            queryset = queryset.select_related(chance.choice(["author", "author__country"]))
    else:
        names = [*chance.sample(FIELDS, chance.randrange(1, 5)), *annotations]
        chance.shuffle(names)
        queryset = queryset.values(*names) if shape == "values" else queryset.values_list(*names)
        if chance.random() < 0.3 and "data" not in names:
            return queryset.distinct().order_by(*(name for name in names if name != "author"))
    queryset = queryset.order_by(*chance.choice([["pk"], ["-pages", "pk"], [Lower("title").desc(), "pk"]]))
    if chance.random() < 0.4:
        start = chance.randrange(9)
        queryset = queryset[start : start + chance.randrange(20)]
    return queryset


@transaction.atomic
def by_chances(first: int = 0, number: int = 400) -> None:
    wrong = rows_seen = 0
    for seed in range(first, first + number):
        queryset = by_chance(random.Random(seed))
        try:
            found = difference(queryset)
            rows_seen += len(queryset)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found:
            wrong += 1
            print(f"{seed}: {found}\n    {queryset.query}")
            if "current transaction is aborted" in found:
                break
    print(f"{number} querysets, {wrong} differ")
    assert rows_seen > number, rows_seen


# ---------------------------------------------------------------- what is refused

REFUSED: dict[str, Callable[[], Any]] = {
    "prefetch_related": lambda: query_and_params(authors.prefetch_related("works")),
    "a field that Python changes": lambda: query_and_params(Sheet.objects.all()),
    "a field of a related object": lambda: query_and_params(books.values("title", "sheet__motto")),
    "another database": lambda: query_and_params(authors.using("file")),
    "another database of PostgreSQL": lambda: query_and_params(authors.using("archive")),
    "a model": lambda: query_and_params(Author),
    "an object": lambda: query_and_params(authors.all()[0]),
    "a list": lambda: query_and_params(list(authors.all())),
    "an iterator": lambda: query_and_params(authors.iterator()),
    "an asynchronous iterator": lambda: query_and_params(authors.aiterator()),
    "a number": lambda: query_and_params(authors.count()),
    "nothing": lambda: query_and_params(None),
    "a value of no type": lambda: query_and_params(authors.extra(where=["name = %s"], params=[object()])),
    "a placeholder in quotes": lambda: query_and_params(authors.extra(where=["name = '%s'"], params=["x"])),
    "a per cent sign": lambda: query_and_params(authors.extra(where=["name LIKE 'x%'"])),
    "too few parameters": lambda: query_and_params(authors.extra(where=["name = %s"])),
    "a column twice": lambda: query_and_params(
        works.select_related("author").annotate(author__name=Value("x"))
    ),
    "raw without a value": lambda: query_and_params(
        Author.objects.raw("SELECT * FROM shelf_author WHERE id = %(a)s", {"b": 1})
    ),
}


def refused() -> None:
    """Prints what is said of each."""
    for name, call in REFUSED.items():
        try:
            call()
        except QuerysetError as error:
            print(f"{name}: {error}")


def others() -> None:
    """Prints rows that Django does not have like that."""
    ask = puff.global_postgres().query
    motto = ask(*query_and_params(Sheet.objects.filter(pk=1), raw=["motto"]))[0]["motto"]
    assert motto == ask(*query_and_params(Sheet.objects.filter(pk=1), raw=True))[0]["motto"] == "motto 0"
    assert ask(*query_and_params(Sheet.objects.filter(pk=1).defer("motto"))) == [{"id": 1, "book_id": 1}]
    raw = Author.objects.raw("SELECT id, '%%' AS sign FROM shelf_author WHERE id IN (%s, %s)", [1, 2])
    assert ask(*query_and_params(raw)) == [{"id": 1, "sign": "%"}, {"id": 2, "sign": "%"}]
    raw = Author.objects.raw("SELECT id FROM shelf_author WHERE id = %(id)s OR id = %(id)s - 1", {"id": 4})
    assert ask(*query_and_params(raw)) == [{"id": 3}, {"id": 4}]
    raw = Author.objects.raw("SELECT id FROM shelf_author WHERE name LIKE 'Author 1%' ORDER BY id", None)
    assert [row["id"] for row in ask(*query_and_params(raw))] == [2, 11, 12]
    many, one = (query_and_params(books.filter(pk__in=keys))[0] for keys in ([1, 2, 3], [5]))
    assert many == one, "the text should not depend on how many keys there are"
    assert query_and_params(authors.none())[1] == []
    assert query_and_params(authors.using("replica")) == query_and_params(authors.all())
    print("as said")


def prepares() -> None:
    """Prepared querysets have the rows of those that have their values from the start."""
    ask = puff.global_postgres().query

    def same(queryset: Any, one: Any, **values: Any) -> None:
        compiled = prepared(queryset)
        theirs = ask(*query_and_params(one))
        assert ask(*compiled(**values)) == theirs == ask(*compiled(**values)), compiled.sql
        assert theirs, "nothing to compare"

    ordered = books.order_by("pk")
    same(lambda: ordered.filter(pages__gt=Parameter("n")), ordered.filter(pages__gt=100), n=100)
    same(ordered.filter(author__in=Parameter("ids")), ordered.filter(author__in=[1, 2]), ids=[1, 2])
    same(ordered.filter(genre__in=Parameter("g")), ordered.filter(genre="poem"), g=[Genre.POEM])
    same(
        ordered.filter(title__icontains=Parameter("t")),
        ordered.filter(title__icontains="K 7 100%"),
        t="K 7 100%",
    )
    same(ordered.filter(key=Parameter("k")), ordered.filter(key=uuid.UUID(int=7)), k=uuid.UUID(int=7))
    same(ordered.filter(added__gte=Parameter("d")), ordered.filter(added__gte=when(9)), d=when(9))
    same(
        ordered.filter(author__name=Parameter("n")),
        ordered.filter(author__name="Author 3"),
        n=lazystr("Author 3"),
    )
    same(ordered.filter(data__contains=Parameter("j")), ordered.filter(data__contains={"n": 7}), j={"n": 7})
    same(ordered.filter(words__contains=Parameter("w")), ordered.filter(words__contains=["two"]), w=["two"])
    same(
        ordered.annotate(x=Parameter("x", DecimalField(max_digits=9, decimal_places=2))),
        ordered.annotate(x=Value(Decimal("1.50"))),
        x="1.50",
    )
    same(
        ordered.filter(pk__in=Parameter("ids", IntegerField())).exclude(pages=Parameter("n")),
        ordered.filter(pk__in=[1, 2, 3]),
        ids=["1", 2, 3],
        n=-1,
    )
    same(
        books.values(start=Substr("title", 1, Parameter("n", IntegerField())))
        .annotate(n=Count("pk"))
        .order_by("start"),
        books.values(start=Substr("title", 1, 6)).annotate(n=Count("pk")).order_by("start"),
        n=6,
    )
    same(ordered, ordered)
    by_pages = prepared(ordered.filter(pages__gt=Parameter("n")))
    for values in ({}, {"n": 1, "m": 2}):
        try:
            by_pages(**values)
        except TypeError as error:
            print(error)
