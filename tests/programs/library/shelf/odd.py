"""A model that GraphQL knows little of."""

from __future__ import annotations

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Strange(models.Field):
    def db_type(self, connection):
        return "point"


class Odd(models.Model):
    strange = Strange()
    kind = models.ForeignKey(ContentType, models.CASCADE)
    number = models.IntegerField()
    target = GenericForeignKey("kind", "number")

    class Meta:
        app_label = "shelf"
        managed = False
