"""graphql-core on the data of a world: what the right answer is, and how many layers it takes."""

from __future__ import annotations

from typing import Any

import graphql
from graphql.pyutils import Path

from oracle.world import BOOM, Echo, Edge, Leaf, World, echo_text, now_text, skipped, stepped

Chain = tuple[Any, ...]


class Reference:
    """graphql-core with the schema that the engine printed.

    Attributes:
        schema: The schema.
        layers: After ``execute``: for each key of a resolver the layers in which it was asked. A layer is the
            way to it through response names, arguments and resolvers, whatever the indexes and types.
        state: After ``execute``: what a mutation has done.
    """

    def __init__(self, world: World, sdl: str) -> None:
        self.schema = graphql.build_schema(sdl)
        self.layers: dict[str, set[Chain]] = {}
        self.state = 0
        self._world = world
        self._members = {name: world.members(name) for name in world.types}
        self._chains: dict[tuple[Any, ...], Chain] = {}

    def execute(self, document: graphql.DocumentNode, variables: dict[str, Any]) -> graphql.ExecutionResult:
        """Execute a valid document."""
        self.layers = {}
        self.state = 0
        self._chains = {}
        result = graphql.execute(
            self.schema,
            document,
            variable_values=variables,
            field_resolver=self._resolve,
            type_resolver=lambda gid, info, declared: self._world.of[gid],
        )
        assert isinstance(result, graphql.ExecutionResult)
        return result

    def _resolve(self, gid: int | None, info: graphql.GraphQLResolveInfo, /, **given: Any) -> Any:
        member = self._members[info.parent_type.name].get(info.field_name)
        if member is None:
            return gid
        path = info.path.as_list()
        chain = self._chain(info.path, member, given)
        self._chains[tuple(path)] = chain
        if isinstance(member, Leaf):
            return self._world.leaves[gid or 0][member.name]
        if not (isinstance(member, Edge) and member.form == "attribute"):
            self.layers.setdefault(member.key, set()).add(chain)
        if isinstance(member, Echo):
            if member.form == "now":
                return now_text(member.key, self.state)
            if (member.key, gid or 0) in self._world.failing:
                raise RuntimeError("boom")
            told = None if gid is None or member.form == "shared" else gid
            return echo_text(member.key, told, list(given.items()))
        if member.is_step and given["by"]:
            self.state = stepped(self.state, given["by"])
        if given.get("boom"):
            raise RuntimeError("boom")
        return _failing(skipped(self._world.targets[member.key][gid or 0], given.get("skip", 0)))

    def _chain(self, path: Path, member: Leaf | Edge | Echo, given: dict[str, Any]) -> Chain:
        above = path.prev
        while above is not None and isinstance(above.key, int):
            above = above.prev
        outer = self._chains[tuple(above.as_list())] if above is not None else ()
        resolver = member.name if isinstance(member, Leaf) else member.key
        return (*outer, (path.key, resolver, repr(sorted(given.items()))))


def _failing(found: Any) -> Any:
    """Return targets with exceptions in their places."""
    if isinstance(found, list):
        return [_failing(each) for each in found]
    return RuntimeError("boom") if found == BOOM else found
