"""Strawberry-Django: the optimizer turns the selection into only() and prefetch_related()."""

import orjson
import strawberry
import strawberry_django
from strawberry.django.views import GraphQLView
from strawberry.extensions import ParserCache, ValidationCache
from strawberry_django.optimizer import DjangoOptimizerExtension

from . import models


@strawberry_django.type(models.Comment)
class Comment:
    id: int
    body: strawberry.auto


@strawberry_django.type(models.Post)
class Post:
    id: int
    author_id: int = strawberry_django.field(only=["author_id"])
    title: strawberry.auto
    body: strawberry.auto
    views: strawberry.auto
    published: strawberry.auto
    comments: list[Comment]


@strawberry_django.type(models.Author)
class Author:
    id: int
    name: strawberry.auto
    posts: list[Post]


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "world"

    @strawberry_django.field
    def authors(self, limit: int) -> list[Author]:
        return models.Author.objects.all()[:limit]

    @strawberry_django.field
    def posts(self, limit: int) -> list[Post]:
        return models.Post.objects.all()[:limit]


schema = strawberry.Schema(
    Query, extensions=[DjangoOptimizerExtension, ParserCache(maxsize=100), ValidationCache(maxsize=100)]
)


class View(GraphQLView):
    def encode_json(self, data):
        return orjson.dumps(data)


view = View.as_view(schema=schema, graphql_ide=None)
view.csrf_exempt = True
