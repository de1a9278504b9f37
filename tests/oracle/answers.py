"""What the resolvers of a world answer: as objects, as rows joined to their parents, parent by parent."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter
from collections.abc import Sequence
from typing import Any

from oracle.world import (
    BOOM,
    Echo,
    Edge,
    Leaf,
    World,
    echo_text,
    joined,
    now_text,
    skipped,
    stepped,
)


class Answers:
    """The resolvers' common half.

    Attributes:
        calls: How often each was called, by the fields' keys.
        state: What the mutation's fields that were called have made of it, see ``stepped``.
    """

    def __init__(self, world: World, classes: dict[str, Any], prefix: str, per_parent: bool) -> None:
        self.world = world
        self.calls: Counter[str] = Counter()
        self.state = 0
        self._classes = classes
        self.prefix = prefix
        self.per_parent = per_parent
        self._members = {
            member.key: member
            for known in world.types.values()
            for member in known.own
            if isinstance(member, (Edge, Echo))
        }
        self._made: dict[int, Any] = {}

    def begin(self) -> None:
        """Forget what was before an operation."""
        self.calls.clear()
        self.state = 0

    def objects(
        self, key: str, parents: Sequence[Any] | None, skip: int, boom: bool, by: int = 0
    ) -> tuple[Any, Any]:
        """Answer with objects, one value per parent."""
        self._called(key, by)
        if boom:
            raise RuntimeError("boom")
        if parents is None:
            value = self._value(key, 0, skip)
            if isinstance(value, Exception):
                raise value
            return ..., value
        return ..., [self._value(key, _gid(parent), skip) for parent in parents]

    def joined(self, key: str, parents: Any, skip: int, boom: bool) -> tuple[Any, ...]:
        """Answer with rows that belong to parents. ``parents`` are these, or the context that knows them."""
        self.calls[key] += 1
        if boom:
            raise RuntimeError("boom")
        return ..., joined(self.prefix), [key, self._gids(parents), skip], ["gid"], ["parent_gid"]

    def rows(self, key: str, parents: None, skip: int, boom: bool, by: int = 0) -> tuple[Any, ...]:
        """Answer with rows, the same for all parents."""
        self._called(key, by)
        if boom:
            raise RuntimeError("boom")
        return ..., joined(self.prefix), [key, [0], skip]

    def echo(self, key: str, parents: Sequence[Any] | None, **given: Any) -> Any:
        """Answer with the arguments, one text per parent or one for all."""
        self.calls[key] += 1
        arguments = [(name, self._plain(value)) for name, value in given.items()]

        def told(gid: int | None) -> Any:
            failed = (key, gid or 0) in self.world.failing
            return RuntimeError("boom") if failed else echo_text(key, gid, arguments)

        if parents is None:
            one = told(None)
            if isinstance(one, Exception):
                raise one
            return one
        form = self._members[key].form
        return [told(None if form == "shared" else _gid(parent)) for parent in parents]

    def now(self, key: str, parents: Sequence[Any] | None) -> Any:
        """Answer with what a mutation has done so far."""
        self.calls[key] += 1
        told = now_text(key, self.state)
        return told if parents is None else [told for _ in parents]

    def echo_rows(self, key: str, parents: Any, n: int | None) -> tuple[Any, ...]:
        """Answer with the arguments as a column of rows."""
        self.calls[key] += 1
        before, after = echo_text(key, 424242, [("n", n)]).split("424242")
        sql = "SELECT p.gid AS parent_gid, $2 || p.gid || $3 AS told FROM unnest($1::int8[]) AS p (gid)"
        return ..., sql, [self._gids(parents), before, after], ["gid"], ["parent_gid"]

    def _called(self, key: str, by: int) -> None:
        self.calls[key] += 1
        if by:
            self.state = stepped(self.state, by)

    def _gids(self, parents: Any) -> list[int]:
        if hasattr(parents, "parent_values"):
            return [gid for (gid,) in parents.parent_values(["gid"])]
        return [_gid(parent) for parent in parents]

    def _plain(self, value: Any) -> Any:
        """Return an argument as a client would write it."""
        if isinstance(value, enum.Enum):
            return value.name
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
            if isinstance(value, self._classes["One"]):
                fields = {name: given for name, given in fields.items() if given is not None}
            return {name: self._plain(given) for name, given in fields.items()}
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        return value

    def _value(self, key: str, gid: int, skip: int) -> Any:
        return self._build(skipped(self.world.targets[key][gid], skip))

    def _build(self, found: Any) -> Any:
        if isinstance(found, list):
            return [self._build(each) for each in found]
        if found == BOOM:
            return RuntimeError("boom")
        return None if found is None else self._object(found)

    def _object(self, gid: int) -> Any:
        """Return an entity as an object of its class or, every third one, as a dict."""
        if gid not in self._made:
            name = self.world.of[gid]
            values: dict[str, Any] = {"gid": gid}
            for member in self.world.members(name).values():
                if isinstance(member, Leaf):
                    values[member.name] = self.world.leaves[gid][member.name]
                elif isinstance(member, Edge) and member.form == "attribute":
                    values[member.name] = self._build(self.world.targets[member.key][gid])
            is_dict = gid % 3 == 0
            self._made[gid] = {"__typename": name, **values} if is_dict else self._classes[name](**values)
        return self._made[gid]


def _gid(parent: Any) -> int:
    return int(parent["gid"] if isinstance(parent, dict) else parent.gid)
