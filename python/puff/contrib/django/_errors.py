"""What can be wrong with a queryset."""

from __future__ import annotations


class QuerysetError(TypeError):
    """A queryset has no statement whose rows are what Django would return.

    The message says what is in the way, and what to write instead.
    """
