"""Tables of the library and rows in them, the same whenever it runs."""

from __future__ import annotations

import datetime
import os
import random
import uuid
from decimal import Decimal

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db.backends.postgresql.psycopg_any import NumericRange  # noqa: E402
from shelf.models import (  # noqa: E402
    Author,
    Book,
    Choice,
    Country,
    Genre,
    Question,
    Room,
    Sheet,
    Tag,
    Vote,
)

import puff  # noqa: E402


def moment(chance: random.Random) -> datetime.datetime:
    """A point in time, naive where the settings say so."""
    zone = datetime.timezone.utc if settings.USE_TZ else None
    start = datetime.datetime(2020, 1, 1, tzinfo=zone)
    return start + datetime.timedelta(seconds=chance.randrange(10**8), microseconds=chance.randrange(10**6))


def fill(books: int = 60) -> None:
    """Makes the tables and fills them."""
    puff.global_postgres().script("CREATE EXTENSION IF NOT EXISTS hstore")
    call_command("migrate", verbosity=0, run_syncdb=True)
    chance = random.Random(7)
    codes = [("CH", "Switzerland"), ("IE", "Ireland"), ("JP", "日本")]
    countries = [Country.objects.create(code=code, label=label) for code, label in codes]
    tags = [Tag.objects.create(word=word) for word in ("red", "50% off", "it's", 'a"b', "back\\slash")]
    authors = [
        Author.objects.create(
            name=f"Author {number}",
            born=None if number % 4 == 0 else datetime.date(1900 + number, 1 + number % 12, 3),
            rating=chance.choice([0.1, 1 / 3, 2.5, 7.0]),
            country=chance.choice([*countries, None]),
            facts={"rank": number, "name": {"first": f"A{number}"}, "list": [1, number]},
        )
        for number in range(12)
    ]
    for number in range(books):
        book = Book.objects.create(
            title=f"Book {number} 100% 'quoted'" if number % 7 == 0 else f"Book {number}",
            author=chance.choice(authors),
            added=moment(chance),
            changed=chance.choice([None, moment(chance)]),
            key=uuid.UUID(int=number),
            price=chance.choice([None, Decimal("12.50"), Decimal(number), Decimal("0.07")]),
            pages=chance.randrange(500),
            sold=chance.randrange(10**12),
            shelf=chance.choice([None, 1, 2, 3]),
            genre=chance.choice(Genre.values),
            lent=chance.random() < 0.3,
            words=chance.choice([[], ["one"], ["two", "it's", "a,b", '"q"'], ["NULL", ""]]),
            marks=chance.choice([None, [], [1, 2], [5]]),
            read_at=chance.choice([None, datetime.time(7, 30), datetime.time(23, 59, 59, 999)]),
            length=chance.choice([None, datetime.timedelta(days=1, seconds=5, microseconds=7)]),
            years=chance.choice([None, NumericRange(1, 5), NumericRange(None, 7), NumericRange(empty=True)]),
            notes=chance.choice([{}, {"a": "1", 'b"': None}]),
            data=chance.choice([None, {"n": number, "s": "x'y"}, [1, 2.5, "three"], "text"]),
            scan=chance.choice(["", f"scans/{number}.pdf"]),
            seen_from=chance.choice([None, "10.0.0.1", "::1"]),
            cover=bytes([number, 0, 255]),
        )
        book.tags.set(chance.sample(tags, chance.randrange(4)))
        if number % 3 == 0:
            Sheet.objects.create(book=book, motto=f"motto {number}")
    rooms = [
        Room.objects.create(name=name, parent=None, hidden=name == "cellar", by_tag=tags[number])
        for number, name in enumerate(("house", "hall", "cellar", "attic"))
    ]
    for room in rooms[1:]:
        room.parent = rooms[0]
        room.save()
    rooms[0].doors.set(rooms[1:3])
    rooms[1].keys.set(tags[:2])
    questions = Question.objects.bulk_create(Question(text=f"Question {number}") for number in range(120))
    choices = Choice.objects.bulk_create(
        Choice(question=question, text=f"{text}?") for question in questions for text in ("yes", "no", "both")
    )
    Vote.objects.bulk_create(
        Vote(choice=choice, voter=f"voter {number}", secret=number == 1)
        for choice in choices
        for number in range(choice.pk % 4)
    )
