"""`context.user`: who a request of GraphQL comes from, by Django's sessions or a function of one's own."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user
from django.core.exceptions import DisallowedHost, ImproperlyConfigured
from django.http import HttpRequest
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.functional import SimpleLazyObject
from django.utils.http import is_same_domain
from django.utils.module_loading import import_string

from puff._sync import Lock

if TYPE_CHECKING:
    from puff._puff import Context

log = logging.getLogger("puff.graphql")

SETTING = "PUFF_GRAPHQL_AUTHENTICATE"


def lazy_user(context: Context) -> Any:
    """Return the user of a request; who it is, is found out when something of it is asked for.

    Resolvers and permissions that ask at the same time wait for one answer.
    """
    lock = Lock()
    found: list[Any] = []

    def setup() -> Any:
        with lock:
            if not found:
                found.append(authenticate(context))
        return found[0]

    return SimpleLazyObject(setup)


def authenticate(context: Context) -> Any:
    """Return the user of a request.

    First the function is asked that the setting ``PUFF_GRAPHQL_AUTHENTICATE`` names, if there is one; it gets
    the context, and returns a user, or None if it knows none. Then the session says it, by its cookie. Else
    it is Django's ``AnonymousUser``.

    Raises:
        ImproperlyConfigured: Django's app for users is not installed, or the setting names no function.
        puff.graphql.GraphQLError: the function refuses the request.

    Greenlets: waits for the database or the cache, where sessions and users are.
    """
    own = _own_function()
    if own is not None:
        user = own(context)
        if user is not None:
            return user
    if not apps.is_installed("django.contrib.auth"):
        raise ImproperlyConfigured(
            f"context.user: INSTALLED_APPS has no django.contrib.auth; install it, or let {SETTING} name a "
            "function that returns users"
        )
    request = request_of(context)
    # With SECRET_KEY_FALLBACKS Django gives the session a new key, of which this answer cannot tell the
    # client: that would be logged out. The next page does it.
    if hasattr(request.session, "cycle_key"):
        request.session.cycle_key = lambda: None
    return get_user(request)


def request_of(context: Context) -> HttpRequest:
    """Return the request of GraphQL as one of Django's, for what knows users by these.

    It has the headers, the cookies, the client's address and the session, and no body: what it is asked is in
    the arguments of resolvers. The session is an empty one if another site's page has sent the request; see
    the guide.

    Example:
        >>> def by_token(context):
        ...     found = JWTAuthentication().authenticate(request_of(context))
        ...     return found and found[0]
    """
    request = HttpRequest()
    request.method, request.path, request.path_info = "POST", "/graphql", "/graphql"
    headers = context.headers
    meta = request.META
    for name, value in headers.items():
        if "_" in name:
            continue  # it would be another header's key
        key = name.upper().replace("-", "_")
        meta[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    if "HTTP_AUTHORIZATION" not in meta and context.auth_token is not None:
        meta["HTTP_AUTHORIZATION"] = f"Bearer {context.auth_token}"  # of a WebSocket's parameters
    if context.peer is not None:
        meta["REMOTE_ADDR"], meta["REMOTE_PORT"] = context.peer[0], str(context.peer[1])
    meta.setdefault("SERVER_NAME", "localhost")
    meta.setdefault("SERVER_PORT", "80")
    request.COOKIES = context.cookies
    if apps.is_installed("django.contrib.sessions"):
        cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME) if _is_of_this_site(request) else None
        request.session = importlib.import_module(settings.SESSION_ENGINE).SessionStore(cookie)
    else:
        request.session = {}
    return request


def _own_function() -> Any:
    path = getattr(settings, SETTING, None)
    if path is None or callable(path):
        return path
    try:
        return import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"{SETTING} = {path!r} names no function: {error}") from error


def _is_of_this_site(request: HttpRequest) -> bool:
    """Return whether a page of this site has sent the request, or no page: else its cookies say nothing.

    The server refuses such requests before, and has settings that switch this off. The rule here is Django's
    own: the origin is the host, or one of CSRF_TRUSTED_ORIGINS. The scheme of the first is not compared, as a
    proxy may change it.
    """
    origin: str | None = request.META.get("HTTP_ORIGIN")
    if origin is None:
        return request.META.get("HTTP_SEC_FETCH_SITE", "none") in ("none", "same-origin")
    try:
        parts = urlsplit(origin)
        if parts.netloc == request.get_host():
            return True
    except DisallowedHost as error:
        log.warning("context.user: %s", error)
        return False
    except ValueError:  # it is no origin
        return False
    rules = CsrfViewMiddleware(lambda _: None)
    if origin in rules.allowed_origins_exact:
        return True
    subdomains = rules.allowed_origin_subdomains.get(parts.scheme, ())
    return any(is_same_domain(parts.netloc, domain) for domain in subdomains)
