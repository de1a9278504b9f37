"""Who asks GraphQL: the user that is logged in on the pages."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from puff import graphql


def user_of(context: Any) -> Any:
    """The user of the session, or nobody in particular; looked up once a request."""
    if "user" not in context.state:
        request = HttpRequest()
        key = context.cookies.get(settings.SESSION_COOKIE_NAME)
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
        context.state["user"] = get_user(request)
    return context.state["user"]


def signed_in(context: Any, guarded: Any) -> bool:
    """A permission: whoever is logged in."""
    if not user_of(context).is_authenticated:
        raise graphql.Unauthenticated("log in first")
    return True
