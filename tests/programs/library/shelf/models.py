"""Models with a field of each kind, and each kind of relation."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField, HStoreField, IntegerRangeField
from django.db import models


class Shouted(models.CharField):
    """A field whose values Python changes."""

    def from_db_value(self, value, expression, connection):
        return None if value is None else value.upper()


class Trimmed(models.CharField):
    """A field of a project that changes values on their way in only."""

    def get_prep_value(self, value):
        return super().get_prep_value(value).strip() if isinstance(value, str) else value


class Genre(models.TextChoices):
    NOVEL = "novel", "A novel"
    POEM = "poem", "A poem"
    PLAY = "play", "A play"


class Country(models.Model):
    code = models.CharField(max_length=2, primary_key=True)
    label = models.CharField(max_length=50, db_column="name in atlas")


class Author(models.Model):
    name = Trimmed(max_length=50)
    born = models.DateField(null=True)
    rating = models.FloatField(default=0)
    country = models.ForeignKey(Country, models.CASCADE, null=True, related_name="authors")
    facts = models.JSONField(default=dict)


class Tag(models.Model):
    word = models.CharField(max_length=20, unique=True)


class Work(models.Model):
    title = models.CharField(max_length=100)
    author = models.ForeignKey(Author, models.CASCADE, related_name="works", db_column="by")
    tags = models.ManyToManyField(Tag, related_name="works")
    added = models.DateTimeField()
    changed = models.DateTimeField(null=True)


class Book(Work):
    key = models.UUIDField(default=uuid.uuid4)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    pages = models.IntegerField(default=0)
    sold = models.BigIntegerField(default=0)
    shelf = models.SmallIntegerField(null=True)
    genre = models.CharField(max_length=10, choices=Genre.choices, default=Genre.NOVEL)
    lent = models.BooleanField(default=False)
    words = ArrayField(models.TextField(), default=list)
    marks = ArrayField(models.IntegerField(), null=True)
    read_at = models.TimeField(null=True)
    length = models.DurationField(null=True)
    years = IntegerRangeField(null=True)
    notes = HStoreField(default=dict)
    data = models.JSONField(null=True)
    scan = models.FileField(upload_to="scans", blank=True)
    seen_from = models.GenericIPAddressField(null=True)
    cover = models.BinaryField(default=b"")


class Sheet(models.Model):
    """What belongs to one book, and has a field that Python changes."""

    book = models.OneToOneField(Book, models.CASCADE, related_name="sheet")
    motto = Shouted(max_length=50)


class Question(models.Model):
    text = models.CharField(max_length=50, help_text="What is asked.")
    asked = models.DateField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)


class Choice(models.Model):
    question = models.ForeignKey(Question, models.CASCADE, related_name="choices")
    text = models.CharField(max_length=50)


class Vote(models.Model):
    choice = models.ForeignKey(Choice, models.CASCADE, related_name="votes")
    voter = models.CharField(max_length=20)
    secret = models.BooleanField(default=False)


class Visible(models.Manager):
    def get_queryset(self):
        return (
            super().get_queryset().filter(hidden=False).select_related("parent").prefetch_related("children")
        )


class Room(models.Model):
    """Rooms in rooms, and doors between them; some are hidden."""

    name = models.CharField(max_length=20, unique=True)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    doors = models.ManyToManyField("self")
    keys = models.ManyToManyField(Tag, related_name="+")
    hidden = models.BooleanField(default=False)
    country = models.ForeignKey(Country, models.CASCADE, null=True, related_name="+")
    by_tag = models.ForeignKey(Tag, models.CASCADE, to_field="word", null=True, related_name="rooms")

    objects = Visible()
