"""Relay's connections: pages of rows with cursors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import field as data_field
from typing import Annotated, Any, Generic, TypeVar

from ._options import field, type
from ._where import Problem

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__puff_connection__"

Order = str | Sequence[str]
"""What rows are sorted by: `"created DESC, id"`, or each of these apart."""


@dataclass
class PageInfo:
    """Where a page stands among all items.

    Attributes:
        has_next_page: Whether there are items after it.
        has_previous_page: Whether there are items before it.
        start_cursor: The cursor of its first item.
        end_cursor: The cursor of its last item.
    """

    has_next_page: Annotated[bool, field(name="hasNextPage")]
    has_previous_page: Annotated[bool, field(name="hasPreviousPage")]
    start_cursor: Annotated[str | None, field(name="startCursor")] = None
    end_cursor: Annotated[str | None, field(name="endCursor")] = None


@dataclass
class Edge(Generic[T]):
    """An item and its place.

    Attributes:
        node: The item.
        cursor: Its place, for `after` and `before`.
    """

    node: T
    cursor: Annotated[str, field(name="cursor")]


@type(description="A page of items.")
@dataclass
class Connection(Generic[T]):
    """A page of items.

    ``Connection[Post]`` is the type ``PostConnection`` with the edges ``PostEdge``. A resolver under
    :func:`connection` makes one of a statement; others may return one made by hand.

    Attributes:
        edges: The items with their cursors.
        nodes: The items alone.
        page_info: Where the page stands.
        total_count: How many items there are on all pages.
    """

    edges: list[Edge[T]]
    page_info: Annotated[PageInfo, field(name="pageInfo")]
    total_count: Annotated[int | None, field(name="totalCount")] = None
    nodes: list[T] = data_field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes = self.nodes or [edge.node for edge in self.edges]


@dataclass(frozen=True)
class PageOptions:
    """What :func:`connection` was given."""

    order_by: Order | Callable[..., Order]
    default: int
    most: int
    lateral: bool = False


def connection(
    *, order_by: Order | Callable[..., Order], default: int = 20, most: int = 100, lateral: bool = False
) -> Callable[[F], F]:
    """Make pages of the rows of a resolver's statement. It goes below ``@classmethod``.

    The resolver returns a :class:`Connection` and a statement with all rows, in no order. Its field gets the
    arguments ``first``, ``after``, ``last`` and ``before``, which the resolver does not see. What comes of it
    is one statement for the layer, which reads one page for each parent, beginning at the cursor's values.

    Args:
        order_by: The columns of the statement, or expressions of these, that sort the rows, each with
            ``DESC`` and ``NULLS FIRST`` or ``NULLS LAST`` if wanted. Together they have to be different for
            all rows of a parent: end with a key. A function of the resolver's arguments, given by name, may
            choose.
        default: How many items a page has if the client does not say.
        most: How many items a client may ask for; more is an error.
        lateral: How the pages of many parents are found. False: the rows of all of them are read once and
            numbered. True: each parent's page is looked for by itself, within the one statement. That is much
            faster with an index on the child keys followed by the order, and much slower without. The
            statement need not ask for the keys then.

    Example:
        >>> @dataclass
        ... class Post:
        ...     id: int
        >>> @dataclass
        ... class Query:
        ...     @classmethod
        ...     @connection(order_by="created DESC, id")
        ...     def posts(cls, context, /, tag: str) -> tuple[Connection[Post], str, list]:
        ...         return ..., "SELECT * FROM post WHERE tag = $1", [tag]
    """
    options = PageOptions(order_by, default, most, lateral)

    def mark(function: F) -> F:
        setattr(getattr(function, "__func__", function), _MARK, options)
        return function

    return mark


def page_options(resolver: Any) -> PageOptions | None:
    """Return what :func:`connection` says about a resolver."""
    found = getattr(getattr(resolver, "__func__", resolver), _MARK, None)
    return found if isinstance(found, PageOptions) else None


def check_pages(options: PageOptions) -> None:
    """Look at what an author gave for pages.

    Raises:
        Problem: There cannot be such pages.
    """
    if not (isinstance(options.default, int) and isinstance(options.most, int)) or not (
        1 <= options.default <= options.most
    ):
        raise Problem(
            f"a page has {options.default!r} items by default and {options.most!r} at most",
            "Let default= be at least 1, and most= not less than that",
        )
