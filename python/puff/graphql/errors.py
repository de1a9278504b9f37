"""What can go wrong between Python classes and GraphQL, as data and as one readable line."""

from __future__ import annotations

from typing import Any


class GraphQLError(Exception):
    """An error that is meant for the client: raise it in a resolver, or put it in the place of one value.

    Its message reaches the client as it is, also where those of other exceptions are masked, and nothing is
    logged. Raised, it is the error of the field for every parent of the layer. As an element of the list that
    a resolver with ``parents`` returns, or of any list of values or objects, it is the error of that one.

    Args:
        message: What the client reads.
        code: A stable name of the kind of error, for ``extensions.code``; by default that of the class.
        extensions: Further facts beside the code, of types that JSON knows.

    Example:
        >>> GraphQLError("sold out", code="SOLD_OUT", extensions={"left": 0}).code
        'SOLD_OUT'
    """

    code: str = "RESOLVER_ERROR"

    def __init__(
        self, message: str, *, code: str | None = None, extensions: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.extensions = extensions or {}
        if code is not None:
            self.code = code


class Unauthenticated(GraphQLError):
    """The client has not said who it is, and has to; the code is ``UNAUTHENTICATED``."""

    code = "UNAUTHENTICATED"

    def __init__(self, message: str = "sign in first", **more: Any) -> None:
        super().__init__(message, **more)


class Forbidden(GraphQLError):
    """The client may not see or do this; the code is ``FORBIDDEN``."""

    code = "FORBIDDEN"

    def __init__(self, message: str = "you may not see this", **more: Any) -> None:
        super().__init__(message, **more)


class SchemaError(Exception):
    """Classes that cannot become a GraphQL schema: where, what is wrong, and what to do about it.

    ``str(error)`` is one line, ``file:line: Class.field(argument:): problem. Fix.``; parts that are not known
    are left out. Raised while a schema is loaded or built, never while a query runs.

    Attributes:
        problem: What is wrong, without a final full stop.
        fix: What to do about it, without a final full stop.
        class_name: Name of the class, or ``None`` when the error concerns a path given to ``load_schema``.
        field: Python name of the field or resolver, or ``None`` when the class itself is wrong.
        argument: Python name of the resolver's parameter, or ``None``.
        file: Source file, or ``None`` when there is none (a class made in an interactive session).
        line: Line in ``file``, counted from 1, or ``None``.

    Example:
        >>> str(SchemaError("no type", "Annotate it", class_name="Query", field="posts", file="a.py", line=3))
        'a.py:3: Query.posts: no type. Annotate it.'
    """

    def __init__(
        self,
        problem: str,
        fix: str,
        *,
        class_name: str | None = None,
        field: str | None = None,
        argument: str | None = None,
        file: str | None = None,
        line: int | None = None,
    ) -> None:
        self.problem = problem
        self.fix = fix
        self.class_name = class_name
        self.field = field
        self.argument = argument
        self.file = file
        self.line = line
        super().__init__(self._text())

    def _text(self) -> str:
        subject = self.class_name or ""
        if self.field is not None:
            subject += f".{self.field}"
        if self.argument is not None:
            subject += f"({self.argument}:)"
        place = self.file or ""
        if self.file is not None and self.line is not None:
            place += f":{self.line}"
        head = "".join(f"{part}: " for part in (place, subject) if part)
        return f"{head}{self.problem}. {self.fix}."


class ArgumentError(GraphQLError, ValueError):
    """A value sent by a client that a scalar or an enum cannot take; the code is ``BAD_USER_INPUT``.

    Raised by ``Resolver.call`` before the user's function runs; it belongs to the field as a GraphQL error.

    Attributes:
        problem: What was expected and what came.
        path: Where in the arguments it was, outermost first: argument, list index, input field.

    Example:
        >>> str(ArgumentError("expected a UUID, got 'x'").within("id").within("filter"))
        "filter.id: expected a UUID, got 'x'"
    """

    code = "BAD_USER_INPUT"

    def __init__(self, problem: str, path: tuple[str | int, ...] = ()) -> None:
        self.problem = problem
        self.path = path
        place = ".".join(str(step) for step in path)
        super().__init__(f"{place}: {problem}" if place else problem)

    def within(self, step: str | int) -> ArgumentError:
        """Return the same error seen from one level further out.

        Args:
            step: The argument, input field or list index that holds the value.
        """
        return ArgumentError(self.problem, (step, *self.path))


class ConnectionRejected(Exception):
    """Raised by a schema's `connect` to refuse the client of a WebSocket.

    The text is told to the client, as the reason of the close (4403); it has room for 123 bytes.

    Example:
        >>> raise ConnectionRejected("who are you?")
        Traceback (most recent call last):
        puff.graphql.errors.ConnectionRejected: who are you?
    """
