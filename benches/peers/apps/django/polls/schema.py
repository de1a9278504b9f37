"""Strawberry-Django: the optimizer turns the selection into only() and prefetch_related()."""

import orjson
import strawberry
import strawberry_django
from strawberry.django.views import GraphQLView
from strawberry.extensions import ParserCache, ValidationCache
from strawberry_django.optimizer import DjangoOptimizerExtension

from . import models


@strawberry_django.type(models.Choice)
class Choice:
    id: int
    choice_text: strawberry.auto
    votes: strawberry.auto


@strawberry_django.type(models.Question)
class Question:
    id: int
    question_text: strawberry.auto
    choices: list[Choice]


@strawberry.type
class Query:
    @strawberry_django.field
    def questions(self, limit: int) -> list[Question]:
        return models.Question.objects.all()[:limit]


schema = strawberry.Schema(
    Query, extensions=[DjangoOptimizerExtension, ParserCache(maxsize=100), ValidationCache(maxsize=100)]
)


class View(GraphQLView):
    def encode_json(self, data):
        return orjson.dumps(data)


view = View.as_view(schema=schema, graphql_ide=None)
view.csrf_exempt = True
