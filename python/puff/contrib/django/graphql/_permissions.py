"""Permissions by Django's users, for `permission=` of types and fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from puff.graphql import Guarded, Permission, Unauthenticated

if TYPE_CHECKING:
    from puff._puff import Context


def login_required(context: Context, guarded: Guarded) -> bool:
    """Let in users who have signed in; others get ``UNAUTHENTICATED``.

    Example:
        >>> from puff.contrib.django import graphql as django
        >>> @django.type(Choice, fields=["choice_text"], permission=django.login_required)
        ... class ChoiceType:
        ...     pass
    """
    if not context.user.is_authenticated:
        raise Unauthenticated()
    return True


def permission_required(*names: str) -> Permission:
    """Let in users who have all of these permissions of Django's, as by their groups.

    Who has not signed in gets ``UNAUTHENTICATED``, who lacks one ``FORBIDDEN``.

    Args:
        names: As for ``user.has_perms``: ``"polls.change_question"``.

    Raises:
        TypeError: a name is not that of an app and a permission, or there is none.

    Example:
        >>> from puff import graphql
        >>> from puff.contrib.django.graphql import permission_required
        >>> @dataclass
        ... class Mutation:
        ...     @classmethod
        ...     @graphql.field(permission=permission_required("polls.delete_question"))
        ...     def delete(cls, context, /, id: graphql.ID) -> bool: ...
    """
    if not names or not all(isinstance(name, str) and name.count(".") == 1 for name in names):
        raise TypeError(f"permission_required takes names such as 'polls.change_question', not {names!r}")
    return user_passes_test(lambda user: user.has_perms(names))


def user_passes_test(test: Callable[[Any], Any]) -> Permission:
    """Let in users for whom a function returns something true.

    Who has not signed in and does not pass gets ``UNAUTHENTICATED``, others ``FORBIDDEN``.

    Example:
        >>> staff_only = user_passes_test(lambda user: user.is_staff)
    """

    def passes(context: Context, guarded: Guarded) -> bool:
        if test(context.user):
            return True
        if not context.user.is_authenticated:
            raise Unauthenticated()
        return False

    return passes
