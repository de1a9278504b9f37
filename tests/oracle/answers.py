"""What the resolvers of a world answer: as objects, as rows joined to their parents, parent by parent."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter
from collections.abc import Sequence
from typing import Any

from oracle.world import Echo, Edge, Leaf, World, echo_text, joined, skipped


class Answers:
    """The resolvers' common half; ``calls`` counts them by the fields' keys."""

    def __init__(self, world: World, classes: dict[str, Any], prefix: str, per_parent: bool) -> None:
        self.world = world
        self.calls: Counter[str] = Counter()
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

    def objects(self, key: str, parents: Sequence[Any] | None, skip: int, boom: bool) -> tuple[Any, Any]:
        """Answer with objects, one value per parent."""
        self.calls[key] += 1
        if boom:
            raise RuntimeError("boom")
        if parents is None:
            return ..., self._value(key, 0, skip)
        return ..., [self._value(key, _gid(parent), skip) for parent in parents]

    def joined(self, key: str, parents: Any, skip: int, boom: bool) -> tuple[Any, ...]:
        """Answer with rows that belong to parents. ``parents`` are these, or the context that knows them."""
        self.calls[key] += 1
        if boom:
            raise RuntimeError("boom")
        return ..., joined(self.prefix), [key, self._gids(parents), skip], ["gid"], ["parent_gid"]

    def rows(self, key: str, parents: None, skip: int, boom: bool) -> tuple[Any, ...]:
        """Answer with rows, the same for all parents."""
        self.calls[key] += 1
        if boom:
            raise RuntimeError("boom")
        return ..., joined(self.prefix), [key, [0], skip]

    def echo(self, key: str, parents: Sequence[Any] | None, **given: Any) -> Any:
        """Answer with the arguments, one text per parent or one for all."""
        self.calls[key] += 1
        arguments = {name: _plain(value) for name, value in given.items()}
        if parents is None:
            return echo_text(key, None, list(arguments.items()))
        form = self._members[key].form
        gids = [None if form == "shared" else _gid(parent) for parent in parents]
        return [echo_text(key, gid, list(arguments.items())) for gid in gids]

    def echo_rows(self, key: str, parents: Any, n: int | None) -> tuple[Any, ...]:
        """Answer with the arguments as a column of rows."""
        self.calls[key] += 1
        before, after = echo_text(key, 424242, [("n", n)]).split("424242")
        sql = "SELECT p.gid AS parent_gid, $2 || p.gid || $3 AS told FROM unnest($1::int8[]) AS p (gid)"
        return ..., sql, [self._gids(parents), before, after], ["gid"], ["parent_gid"]

    def _gids(self, parents: Any) -> list[int]:
        if hasattr(parents, "parent_values"):
            return [gid for (gid,) in parents.parent_values(["gid"])]
        return [_gid(parent) for parent in parents]

    def _value(self, key: str, gid: int, skip: int) -> Any:
        return self._build(skipped(self.world.targets[key][gid], skip))

    def _build(self, found: Any) -> Any:
        if isinstance(found, list):
            return [self._build(each) for each in found]
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


def _plain(value: Any) -> Any:
    """Return an argument as a client would write it."""
    if isinstance(value, enum.Enum):
        return value.name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
