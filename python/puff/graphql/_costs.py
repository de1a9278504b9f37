"""What fields cost, as authors say it, in the estimate of how much a request asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._where import Problem

if TYPE_CHECKING:
    from ._options import FieldOptions


def check_costs(options: FieldOptions) -> None:
    """Look at ``cost=`` and ``list_size=`` of a field.

    Raises:
        Problem: One of them is no number that can be reckoned with.
    """
    for name, value in (("cost", options.cost), ("list_size", options.list_size)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
            raise Problem(
                f"{name}={value!r} is no whole number from 0 on", f"Write {name}=5, or leave it out"
            )


def forbid_costs(options: FieldOptions) -> None:
    """Look at the options of an argument or an input field.

    Raises:
        Problem: They have a ``cost=`` or a ``list_size=``.
    """
    if options.cost is not None or options.list_size is not None:
        raise Problem("what clients send costs nothing by itself", "Put cost= and list_size= at the field")
