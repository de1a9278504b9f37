"""A subscription of the program's own: answers of the GraphQL schema, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._hub import current_hub
from ._limits import Deadline

if TYPE_CHECKING:
    from ._puff import SubscriptionHandle


class Subscription:
    """An iterator of answers, each a dict with `data` and, if there are any, `errors`.

    It may be used in greenlets and in threads, by one at a time. `close` it, use it in a `with` block, or let
    it be collected: then the generator behind it is closed.
    """

    def __init__(self, begin: Callable[[], SubscriptionHandle], timeout: float | None) -> None:
        self._handle = begin()
        self._timeout = timeout

    def next(self, timeout: float | None = None) -> dict[str, Any] | None:
        """Waits for the next answer; None when there are no more, or it was closed.

        Raises:
            TimeoutError: there is none within `timeout` seconds. The subscription goes on.
        """
        handle = self._handle
        deadline = Deadline(timeout)
        while True:
            # In this order: what came before the end is there when the end is seen.
            ended = handle.ended
            answer = handle.take()
            if answer is not None or ended:
                return answer
            try:
                current_hub().wait_for(handle.readable, deadline.left())
            except TimeoutError:
                if not deadline.is_over():
                    raise  # of a `puff.timeout` around this
                raise TimeoutError(f"no answer within {timeout} s") from None

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> dict[str, Any]:
        answer = self.next(self._timeout)
        if answer is None:
            raise StopIteration
        return answer

    def close(self) -> None:
        """Ends it: the generator is closed, nothing comes any more. A second time does nothing."""
        self._handle.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
