"""GraphQL of Django's models: types, relations with one statement for each layer, filters, orders and pages.

And of its users: `context.user`, and permissions that ask for them.

Example:
    >>> from puff.contrib.django import graphql as django
    >>> @django.type(Choice, fields=["id", "choice_text", "votes"])
    ... class ChoiceType:
    ...     pass
    >>> @django.type(Question, fields=["id", "question_text", "pub_date"])
    ... class QuestionType:
    ...     choices: list[ChoiceType]
    >>> @dataclass
    ... class Query:
    ...     questions = django.objects("list[QuestionType]", order="-pub_date", limit=20)
    ...     question = django.objects("QuestionType | None", by="id")
"""

from __future__ import annotations

from .. import _bridge  # noqa: F401
from ._filters import filter
from ._hints import choices
from ._objects import objects
from ._orders import order
from ._permissions import login_required, permission_required, user_passes_test
from ._relations import relation
from ._types import type
from ._users import request_of

__all__ = [
    "choices",
    "filter",
    "login_required",
    "objects",
    "order",
    "permission_required",
    "relation",
    "request_of",
    "type",
    "user_passes_test",
]
