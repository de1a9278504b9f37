"""A schema that knows its users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import filling  # noqa: F401  (sets Django up)
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from shelf.models import Vote

import puff
from puff import graphql
from puff.contrib.django import graphql as django
from puff.contrib.django import query_and_params

ASKED: list[str] = []


@dataclass
class Me:
    name: str
    email: Annotated[str, graphql.field(permission=django.login_required)] = "somebody@example.org"


@django.type(Vote, fields=["voter"], permission=django.permission_required("shelf.view_vote"))
class VoteType:
    pass


@dataclass
class Query:
    @classmethod
    def me(cls, context, /) -> tuple[Me, Me]:
        return ..., Me(context.user.get_username() or "nobody")

    @classmethod
    def asked(cls, context, /) -> int:
        return len(ASKED)

    @classmethod
    def again(cls, context, /) -> tuple[Me, Me]:
        return ..., Me(context.user.username)

    @classmethod
    @graphql.field(permission=django.user_passes_test(lambda user: user.is_staff))
    def staff(cls, context, /) -> str | None:
        return "for staff"

    @classmethod
    @graphql.borrow_db_context
    def borrowed(cls, context, /) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_database()")
        return context.user.username

    @classmethod
    def votes(cls, context, /) -> tuple[list[VoteType] | None, str, list]:
        return ..., *query_and_params(Vote.objects.all()[:2])


@dataclass
class Mutation:
    @classmethod
    @graphql.field(permission=django.login_required)
    def rename(cls, context, /, email: str) -> str | None:
        context.user.email = email
        context.user.save(update_fields=["email"])
        return User.objects.get(pk=context.user.pk).email


@dataclass
class Subscription:
    @classmethod
    def names(cls, context, /, times: int) -> Iterator[str]:
        for _ in range(times):
            yield context.user.username or "nobody"


@dataclass
class Schema:
    query: Query
    mutation: Mutation
    subscription: Subscription


def by_token(context):
    """Who has a token like `token-ada` is Ada."""
    ASKED.append(context.request_id)
    token = context.auth_token
    if token is None:
        return None
    user = User.objects.filter(username=token.removeprefix("token-")).first()
    if user is None:
        raise graphql.Unauthenticated("no such token")
    return user


def sign_in() -> None:
    """Makes users, and prints session cookies: of Ada, who is staff, and of Bob, who counts votes."""
    for name in ("ada", "bob"):
        user, made = User.objects.get_or_create(username=name, is_staff=name == "ada")
        if made and name == "bob":
            user.user_permissions.add(Permission.objects.get(codename="view_vote"))
        client = Client()
        client.force_login(user)
        print(client.cookies["sessionid"].value)


def sign_out_everywhere() -> None:
    """Changes Ada's password, with which her sessions end."""
    user = User.objects.get(username="ada")
    user.set_password("new")
    user.save()


def in_process() -> None:
    """What tests do: a user of their own making."""
    gql = puff.global_graphql()
    answer = gql.query("{ me { name } staff }", context={"user": User(username="eve", is_staff=True)})
    assert answer == {"data": {"me": {"name": "eve"}, "staff": "for staff"}}, answer
    assert gql.query("{ me { name } }", {}) == {"data": {"me": {"name": "nobody"}}}
    print("eve")
