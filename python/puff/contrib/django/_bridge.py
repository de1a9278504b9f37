"""What GraphQL knows of Django wherever a program has both: its users, and what its exceptions mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import NON_FIELD_ERRORS, ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import IntegrityError
from django.http import Http404

from puff.graphql import Forbidden, GraphQLError
from puff.graphql._keyset import BAD_INPUT
from puff.graphql._translate import translators
from puff.graphql._user import identifiers

if TYPE_CHECKING:
    from puff._puff import Context

_CONFLICTS = {
    "23505": "there is one like this already",
    "23503": "something else depends on it, or what it depends on is not there",
    "23514": "a value is not allowed",
    "23P01": "it overlaps with another",
}
"""What constraints say of what a client wants to store, by PostgreSQL's code. Others are an author's."""


def _identify(context: Context) -> Any:
    # Only now: users are models, which settings that import a database are too early for.
    from .graphql._users import lazy_user

    return lazy_user(context)


def _translate(error: BaseException) -> GraphQLError | None:
    if isinstance(error, ValidationError):
        return _invalid(error)
    if isinstance(error, (ObjectDoesNotExist, Http404)):
        return GraphQLError(str(error) or "there is no such object", code="NOT_FOUND")
    if isinstance(error, PermissionDenied):
        return Forbidden(str(error)) if str(error) else Forbidden()
    return _conflict(error) if isinstance(error, IntegrityError) else None


def _invalid(error: ValidationError) -> GraphQLError:
    """Return what a model or a form says of values, by field."""
    if not hasattr(error, "error_dict"):
        return GraphQLError(" ".join(error.messages), code=BAD_INPUT)
    fields = dict(error.message_dict)
    texts = (
        message if name == NON_FIELD_ERRORS else f"{name}: {message}"
        for name, messages in fields.items()
        for message in messages
    )
    return GraphQLError(" ".join(texts), code=BAD_INPUT, extensions={"fields": fields})


def _conflict(error: IntegrityError) -> GraphQLError | None:
    cause = error.__cause__
    # psycopg 3 calls it differently.
    code = getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None)
    if code not in _CONFLICTS:
        return None
    facts = {"sqlstate": code, "constraint": getattr(getattr(cause, "diag", None), "constraint_name", None)}
    return GraphQLError(_CONFLICTS[code], code="CONFLICT", extensions=facts)


identifiers.append(_identify)
translators.append(_translate)
