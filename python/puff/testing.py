"""For tests: what the fixtures `graphql` and `puff_server` give, which come with the package; servers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from ._live_server import LiveServer as LiveServer
from ._served import Response as Response
from ._served import ServedProgram as ServedProgram
from ._services import global_graphql
from ._subscription import Subscription

TIMEOUT = 10.0
"""How many seconds a test waits for each answer of a subscription, unless it says otherwise."""


class GraphQLErrors(AssertionError):
    """An answer has errors and a test wants none. The text shows each with its path, its code and its line.

    `errors` has them as they are in the answer.
    """

    def __init__(self, errors: list[dict[str, Any]], document: str) -> None:
        self.errors = errors
        plural = "" if len(errors) == 1 else "s"
        super().__init__(
            "\n".join([f"the answer has {len(errors)} error{plural}", *map(_Shown(document), errors)])
        )


class _Shown:
    """Errors as text, with the lines of their document."""

    def __init__(self, document: str) -> None:
        self.lines = document.splitlines()

    def __call__(self, error: dict[str, Any]) -> str:
        path = ".".join(str(step) for step in error.get("path", []))
        code = error.get("extensions", {}).get("code")
        text = "".join([f"{path}: " if path else "", error["message"], f" [{code}]" if code else ""])
        for place in error.get("locations", [])[:1]:
            line, column = place["line"], place["column"]
            if line <= len(self.lines):
                margin = f"  {line} | "
                text += f"\n{margin}{self.lines[line - 1]}\n{' ' * (len(margin) + column - 1)}^"
        return text


@dataclasses.dataclass(frozen=True)
class Answer:
    """What GraphQL has answered."""

    data: Any
    """The dict below `data`; None if nothing ran, or the whole of it became null."""

    errors: list[dict[str, Any]]
    """The dicts below `errors`: `message`, and mostly `path`, `locations` and `extensions`."""

    document: str = dataclasses.field(repr=False)
    """What was asked."""

    @property
    def codes(self) -> list[str]:
        """The codes of the errors, in their order: `["FORBIDDEN"]`."""
        return [error["extensions"]["code"] for error in self.errors if "code" in error.get("extensions", {})]

    def raise_errors(self) -> Answer:
        """The answer itself, if it has no errors.

        Raises:
            GraphQLErrors: it has some.
        """
        if self.errors:
            raise GraphQLErrors(self.errors, self.document)
        return self


class Answers:
    """The answers of a subscription, an iterator of `Answer`. Leaving a `with` block closes it."""

    def __init__(self, subscription: Subscription, document: str, timeout: float) -> None:
        self._subscription = subscription
        self._document = document
        self._timeout = timeout

    def next(self, timeout: float | None = None) -> Answer | None:
        """The next answer; None when there are no more.

        Raises:
            TimeoutError: there is none within `timeout` seconds, or those of the subscription.
        """
        answer = self._subscription.next(self._timeout if timeout is None else timeout)
        return None if answer is None else _answer(answer, self._document)

    def close(self) -> None:
        """Closes the generator."""
        self._subscription.close()

    def __iter__(self) -> Iterator[Answer]:
        return self

    def __next__(self) -> Answer:
        answer = self.next()
        if answer is None:
            raise StopIteration
        return answer

    def __enter__(self) -> Answers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclasses.dataclass(frozen=True)
class GraphQLClient:
    """Asks a schema of the program in process: the fixture `graphql`. Greenlets and threads may use it.

    Example:
        ```python
        def test_items(graphql):
            assert graphql.data("{ items { title } }") == {"items": [{"title": "Ulysses"}]}


        def test_strangers(graphql):
            answer = graphql.with_bearer("nobody").query("mutation { close }")
            assert answer.codes == ["FORBIDDEN"]
        ```
    """

    name: str | None = None
    """The schema's name; None for the default one."""

    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What the resolvers have as `context.headers`, and `auth_token` and `cookies` from them."""

    context: dict[Any, Any] | None = None
    """What they have as `context.state`: this very dict. Each request has one of its own without."""

    def named(self, name: str) -> GraphQLClient:
        """The same for the schema called `name`."""
        return dataclasses.replace(self, name=name)

    def with_headers(self, headers: Mapping[str, str]) -> GraphQLClient:
        """The same with these headers beside those that it has."""
        return dataclasses.replace(self, headers={**self.headers, **headers})

    def with_bearer(self, token: str) -> GraphQLClient:
        """The same with a bearer token, which is `context.auth_token`."""
        return self.with_headers({"authorization": f"Bearer {token}"})

    def with_context(self, context: dict[Any, Any]) -> GraphQLClient:
        """The same with a dict that the resolvers have as `context.state`."""
        return dataclasses.replace(self, context=context)

    def query(
        self, document: str, variables: dict[str, Any] | None = None, *, operation: str | None = None
    ) -> Answer:
        """Runs a query or a mutation. What goes wrong is in the answer.

        Args:
            document: The document.
            variables: Its variables, of types that JSON knows.
            operation: Which of its operations; needed when it has several.

        Raises:
            RuntimeError: the program has no such schema.
            ValueError: a header is none of HTTP's.
        """
        answer = global_graphql(self.name).query(
            document, variables, context=self.context, headers=self.headers, operation=operation
        )
        return _answer(answer, document)

    def data(
        self, document: str, variables: dict[str, Any] | None = None, *, operation: str | None = None
    ) -> Any:
        """The data of `query`, where the test wants no errors.

        Raises:
            GraphQLErrors: the answer has some. Others as `query`.
        """
        return self.query(document, variables, operation=operation).raise_errors().data

    def subscribe(
        self,
        document: str,
        variables: dict[str, Any] | None = None,
        *,
        operation: str | None = None,
        timeout: float = TIMEOUT,
    ) -> Answers:
        """Subscribes; an iterator of answers, for a `with` block.

        Args:
            document: As in `query`.
            variables: As in `query`.
            operation: As in `query`.
            timeout: How many seconds to wait for each answer, before a `TimeoutError`.
        """
        schema = global_graphql(self.name)
        subscription = schema.subscribe(
            document, variables, context=self.context, headers=self.headers, operation=operation
        )
        return Answers(subscription, document, timeout)

    def plan(self, document: str, *, operation: str | None = None) -> str:
        """The layers that a document would have, as text, without running it.

        Raises:
            ValueError: the document does not fit the schema.
        """
        return global_graphql(self.name).plan(document, operation=operation)

    def sdl(self) -> str:
        """The schema in GraphQL's schema definition language."""
        return global_graphql(self.name).sdl()


def _answer(answer: dict[str, Any], document: str) -> Answer:
    return Answer(answer.get("data"), answer.get("errors", []), document)
