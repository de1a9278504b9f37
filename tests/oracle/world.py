"""A random schema with random data: as a module of Python classes, as tables, and as plain functions.

Everything follows from a seed. Each object type has leaves (columns or attributes), and edges: fields with
a resolver, which give objects as Python values, as rows, or as rows joined to the parents. What an edge leads
to is written down once, in ``World.targets``; classes, statements and the reference all read it there.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

KINDS: dict[str, tuple[str, str]] = {
    "int": ("int", "int8"),
    "float": ("float", "float8"),
    "str": ("str", "text"),
    "bool": ("bool", "bool"),
    "id": ("graphql.ID", "int4"),
    "color": ("Color", "text"),
    "ints": ("list[int]", "int8[]"),
    "strs": ("list[str | None]", "text[]"),
    "grid": ("list[list[int]]", "int4[]"),
}
"""Kinds of leaves: their type hints, and the types of their columns."""

TEXTS = [
    "",
    "plain",
    'quo"te',
    "back\\slash",
    "new\nline",
    "\u2603 \U0001f600",
    "tab\there",
    "{a,b}",
    "NULL",
    "\x01",
]
COLORS = ["RED", "GREEN", "BLUE"]

BOOM = "boom"
"""Stands in the data where a resolver has an exception in the place of a value."""


@dataclass
class Leaf:
    """A field that is read from its parent."""

    name: str
    kind: str
    nullable: bool

    @property
    def hint(self) -> str:
        """The type hint of the field."""
        hint = KINDS[self.kind][0]
        return f"{hint} | None" if self.nullable else hint


@dataclass
class Edge:
    """A field that leads to objects.

    ``shape`` is ``one``, ``list`` or ``grid`` (a list of lists). ``form`` says how the resolver answers:
    ``objects``, ``joined``, ``constant`` (SQL that Python is not asked for), ``shared`` (the same rows for
    all parents); or ``attribute``, which is no resolver but an attribute that holds objects.
    """

    name: str
    owner: str
    target: str
    shape: str
    form: str
    nullable: bool
    item_nullable: bool

    @property
    def key(self) -> str:
        """What resolvers are known by."""
        return f"{self.owner}.{self.name}"

    @property
    def is_sql(self) -> bool:
        """Whether it takes a statement."""
        return self.form in ("joined", "constant", "shared")

    @property
    def is_step(self) -> bool:
        """Whether it changes something: a field of the mutation type."""
        return self.owner == "Mutation"

    @property
    def hint(self) -> str:
        """The type hint of its value."""
        item = f"{self.target} | None" if self.item_nullable and self.shape != "one" else self.target
        hint = {"one": item, "list": f"list[{item}]", "grid": f"list[list[{item}]]"}[self.shape]
        return f"{hint} | None" if self.nullable else hint


@dataclass
class Echo:
    """A leaf with a resolver: it tells its arguments and its parent.

    ``form`` is ``values`` (one text per parent), ``shared`` (one for all), ``sql``; or ``now``, which has no
    arguments and tells how far a mutation has come.
    """

    name: str
    owner: str
    form: str
    nullable: bool

    @property
    def key(self) -> str:
        """What resolvers are known by."""
        return f"{self.owner}.{self.name}"

    @property
    def is_sql(self) -> bool:
        """Whether it takes a statement."""
        return self.form == "sql"


Member = Leaf | Edge | Echo

ROOTS = ("Query", "Mutation")


@dataclass
class Type:
    """An object type or an interface."""

    name: str
    is_interface: bool = False
    bases: list[str] = field(default_factory=list)
    own: list[Member] = field(default_factory=list)
    host_only: bool = False


class World:
    """Everything that follows from a seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.types: dict[str, Type] = {}
        self.unions: dict[str, list[str]] = {}
        self.of: dict[int, str] = {}
        """The object type of each entity."""
        self.leaves: dict[int, dict[str, Any]] = {}
        """What each entity has in its leaves."""
        self.targets: dict[str, dict[int, Any]] = {}
        """Where each edge leads from each entity: none, one, or lists of them. At the root from 0."""
        self.failing: set[tuple[str, int]] = set()
        """For which entities an echo has an exception in the place of a value."""
        self._make_types()
        self._make_edges()
        self._make_data()

    # ---- the schema

    def _make_types(self) -> None:
        pick = self.random
        interfaces = [f"I{n}" for n in range(pick.randint(1, 3))]
        for number, name in enumerate(interfaces):
            bases = [interfaces[number - 1]] if number and pick.random() < 0.6 else []
            self.types[name] = Type(name, is_interface=True, bases=bases)
        for number in range(pick.randint(3, 5)):
            bases = pick.sample(interfaces, pick.randint(0, min(2, len(interfaces))))
            # Python wants an order of bases in which none comes before one that inherits from it.
            bases = [base for base in bases if not any(base in self.ancestors(other) for other in bases)]
            name = f"T{number}"
            self.types[name] = Type(name, bases=bases, host_only=number > 1 and pick.random() < 0.3)
        for name in interfaces:
            if not self.possible(name):
                others = [base for base in self.types["T0"].bases if base not in self.ancestors(name)]
                self.types["T0"].bases = [name, *others]
        objects = [name for name, known in self.types.items() if not known.is_interface]
        for number in range(pick.randint(1, 2)):
            self.unions[f"U{number}"] = sorted(pick.sample(objects, pick.randint(2, len(objects))))
        for known in self.types.values():
            for kind in pick.sample(sorted(KINDS), pick.randint(1, 3)):
                known.own.append(Leaf(f"{kind}_{known.name.lower()}", kind, pick.random() < 0.7))
            for base in [] if known.is_interface else self.ancestors(known.name):
                # What may be null in an interface need not be in a type.
                leaves = [leaf for leaf in self.types[base].own if isinstance(leaf, Leaf)]
                narrowed = [Leaf(leaf.name, leaf.kind, nullable=False) for leaf in leaves]
                known.own.extend(leaf for leaf in narrowed if pick.random() < 0.2)
            if not known.is_interface and pick.random() < 0.5:
                # Of the same name and type in several types that have nothing to do with each other.
                known.own.append(Leaf("common", "str", nullable=True))

    def _make_edges(self) -> None:
        pick = self.random
        self.roots: list[Type] = []
        names = [*self.types, *self.unions]
        number = 0
        for known in [*self.types.values(), Type("Query"), Type("Mutation")]:
            is_root = known.name in ROOTS
            for _ in range(pick.randint(5, 7) if is_root else pick.randint(1, 3)):
                target = pick.choice(names)
                sql = not any(self.types[name].host_only for name in self.possible(target))
                forms = ["objects", *(["joined", "joined", "constant", "shared"] if sql else [])]
                shape = pick.choice(["one", "list", "list", "grid"])
                form = pick.choice(forms)
                if is_root and form in ("joined", "constant"):
                    form = "shared"
                if form != "objects" and shape == "grid":
                    shape = "list"
                edge = Edge(
                    f"e{number}", known.name, target, shape, form, pick.random() < 0.7, pick.random() < 0.5
                )
                number += 1
                known.own.append(edge)
            for _ in range(pick.randint(0, 2) if known.name != "Mutation" else 0):
                forms = ["values", "shared", "now"] if is_root else ["values", "shared", "sql", "now"]
                echo = Echo(f"echo{number}", known.name, pick.choice(forms), pick.random() < 0.7)
                number += 1
                known.own.append(echo)
            if is_root:
                self.roots.append(known)
        for known in list(self.types.values()):
            if known.is_interface:
                continue
            if known.host_only:
                later = [name for name in self.types if name > known.name and name.startswith("T")]
                for target in later[:2]:
                    shape = pick.choice(["one", "list", "grid"])
                    known.own.append(
                        Edge(f"e{number}", known.name, target, shape, "attribute", pick.random() < 0.8, True)
                    )
                    number += 1
            # Some types do not leave a field to their interface.
            for base in self.ancestors(known.name):
                for member in self.types[base].own:
                    is_new = not any(own.name == member.name for own in known.own)
                    if is_new and isinstance(member, Edge) and pick.random() < 0.3:
                        # What it leads to may be narrower than what the interface says.
                        target = pick.choice([member.target, *self.possible(member.target)])
                        nullable = member.nullable and pick.random() < 0.7
                        known.own.append(replace(member, owner=known.name, target=target, nullable=nullable))
                    elif is_new and isinstance(member, Echo) and pick.random() < 0.25:
                        known.own.append(replace(member, owner=known.name))
        self.types.update({root.name: root for root in self.roots})

    def ancestors(self, name: str) -> list[str]:
        """Return the interfaces of a type, as Python looks members up, without the type itself."""
        found: list[str] = []
        for base in self.types[name].bases:
            for each in [base, *self.ancestors(base)]:
                if each in found:
                    found.remove(each)
                found.append(each)
        return found

    def possible(self, name: str) -> list[str]:
        """Return the object types that a value of this type can have."""
        if name in self.unions:
            return self.unions[name]
        if not self.types[name].is_interface:
            return [name]
        objects = [each for each, known in self.types.items() if not known.is_interface]
        return [each for each in objects if name in self.ancestors(each)]

    def members(self, name: str) -> dict[str, Member]:
        """Return all fields of a type, inherited ones included."""
        found: dict[str, Member] = {}
        for each in [*reversed(self.ancestors(name)), name]:
            found.update({member.name: member for member in self.types[each].own})
        return found

    # ---- the data

    def _make_data(self) -> None:
        pick = self.random
        objects = [name for name, known in self.types.items() if not known.is_interface and name not in ROOTS]
        by_type: dict[str, list[int]] = {name: [] for name in objects}
        for gid in range(1, pick.randint(8, 18)):
            name = pick.choice(objects)
            self.of[gid] = name
            by_type[name].append(gid)
            leaves = [each for each in self.members(name).values() if isinstance(each, Leaf)]
            self.leaves[gid] = {leaf.name: self._leaf(leaf) for leaf in leaves}
        for name in [*objects, *ROOTS]:
            gids = [0] if name in ROOTS else by_type[name]
            for member in self.members(name).values():
                if isinstance(member, Echo) and member.form == "values":
                    self.failing.update((member.key, gid) for gid in gids if pick.random() < 0.04)
                if isinstance(member, Edge):
                    there = [gid for each in self.possible(member.target) for gid in by_type[each]]
                    for gid in gids:
                        found = self._targets(member, there)
                        if member.form == "shared":
                            found = self.targets.get(member.key, {}).get(0, found)
                            self.targets.setdefault(member.key, {})[0] = found
                        self.targets.setdefault(member.key, {})[gid] = found

    def _leaf(self, leaf: Leaf) -> Any:
        pick = self.random
        if pick.random() < (0.15 if leaf.nullable else 0.02):
            return None
        make: dict[str, Callable[[], Any]] = {
            "int": lambda: pick.choice([0, -1, 7, 2**31 - 1, -(2**31), pick.randint(-99, 99)]),
            "float": lambda: pick.choice([0.0, 1.5, -2.25, 1e20, 1e-7, 123456.789]),
            "str": lambda: pick.choice(TEXTS),
            "bool": lambda: pick.random() < 0.5,
            "id": lambda: pick.randint(0, 999),
            "color": lambda: pick.choice(COLORS),
            "ints": lambda: [pick.randint(-9, 9) for _ in range(pick.randint(0, 3))],
            "strs": lambda: [pick.choice([*TEXTS[:8], None]) for _ in range(pick.randint(0, 3))],
            "grid": lambda: [[pick.randint(0, 9) for _ in range(2)] for _ in range(pick.randint(0, 2))],
        }
        # Now and then something that its type cannot hold.
        wrong: dict[str, Any] = {
            "int": 2**40,
            "float": float("nan"),
            "color": "MAUVE",
            "ints": [1, None, 2**40],
        }
        if leaf.kind in wrong and pick.random() < 0.02:
            return wrong[leaf.kind]
        return make[leaf.kind]()

    def _targets(self, edge: Edge, there: list[int]) -> Any:
        pick = self.random

        may_fail = edge.form in ("objects", "attribute")

        def one(chance: float) -> int | str | None:
            if may_fail and pick.random() < 0.02:
                return BOOM
            is_null = pick.random() < chance or not there
            return None if is_null else pick.choice(there)

        def row(length: int) -> Any:
            if may_fail and edge.shape == "grid" and pick.random() < 0.02:
                return BOOM
            # Rows of a statement are never null.
            chance = 0.0 if edge.is_sql else 0.15 if edge.item_nullable else 0.02
            found = [one(chance) for _ in range(length)]
            return [each for each in found if each is not None] if edge.is_sql else found

        if edge.shape == "one":
            return one(0.2 if edge.nullable else 0.05)
        if edge.shape == "list":
            if may_fail and pick.random() < 0.02:
                return BOOM
            if not edge.is_sql and pick.random() < (0.1 if edge.nullable else 0.02):
                return None
            return row(pick.randint(0, 3))
        return [row(pick.randint(0, 2)) for _ in range(pick.randint(0, 2))]

    def tables(self, prefix: str) -> list[tuple[str, list[Any]]]:
        """Return the statements that put the data into the tables ``{prefix}_node`` and ``{prefix}_edge``."""
        columns: dict[str, str] = {}
        for known in self.types.values():
            for member in known.own:
                if isinstance(member, Leaf):
                    columns[member.name] = KINDS[member.kind][1]
        made = "".join(f", {name} {kind}" for name, kind in columns.items())
        statements: list[tuple[str, list[Any]]] = [
            (f"CREATE TABLE {prefix}_node (gid int4 PRIMARY KEY, type text{made})", []),
            (f"CREATE TABLE {prefix}_edge (key text, parent int8, pos int4, target int4)", []),
        ]
        for gid, leaves in self.leaves.items():
            names = ["gid", "type", *leaves]
            kinds = ["int4", "text", *(columns[name] for name in leaves)]
            slots = ", ".join(f"${number + 1}::{kind}" for number, kind in enumerate(kinds))
            sql = f"INSERT INTO {prefix}_node ({', '.join(names)}) VALUES ({slots})"
            statements.append((sql, [gid, self.of[gid], *leaves.values()]))
        for key, by_parent in self.targets.items():
            for parent, found in by_parent.items():
                for pos, target in enumerate(found if isinstance(found, list) else [found]):
                    if isinstance(target, int):
                        sql = f"INSERT INTO {prefix}_edge VALUES ($1, $2, $3, $4)"
                        statements.append((sql, [key, parent, pos, target]))
        return statements

    # ---- the classes

    def source(self, prefix: str, per_parent: bool) -> str:
        """Return the module with the schema. ``per_parent``: resolvers go through their parents singly."""
        parts = [
            "from __future__ import annotations",
            "import enum",
            "from dataclasses import dataclass",
            "from typing import Annotated, Any, Union",
            "from puff import graphql",
            "from oracle.answers import Answers",
            "from oracle.world import World",
            f"answers = Answers(World({self.seed}), globals(), {prefix!r}, {per_parent})",
            "class Color(enum.Enum):",
            *(f"    {color} = {color!r}" for color in COLORS),
            "@dataclass",
            "class Inner:",
            "    n: int",
            "    list: list[int] | None = None",
            "@graphql.input(one_of=True)",
            "@dataclass",
            "class One:",
            "    n: int | None = None",
            "    inner: Inner | None = None",
            "    colors: list[Color] | None = None",
            "    one: One | None = None",
            "@dataclass",
            "class In:",
            "    a: int = 5",
            "    inner: Inner | None = None",
            "    color: Color | None = Color.GREEN",
            "    one: One | None = None",
        ]
        interfaces = [known for known in self.types.values() if known.is_interface]
        for known in [*interfaces, *(known for known in self.types.values() if not known.is_interface)]:
            if known.is_interface:
                parts.append("@graphql.interface")
            parts.append("@dataclass")
            parts.append(f"class {known.name}({', '.join(known.bases)}):")
            body = [] if known.bases or known.name in ROOTS else ["    gid: int"]
            for member in known.own:
                body.extend(self._member(member, prefix, per_parent))
            parts.extend(body or ["    pass"])
        for name, members in self.unions.items():
            parts.append(f'{name} = Annotated[Union[{", ".join(members)}], graphql.union("{name}")]')
        parts += ["@dataclass", "class Schema:", "    query: Query", "    mutation: Mutation"]
        return "\n".join(parts) + "\n"

    def _member(self, member: Member, prefix: str, per_parent: bool) -> list[str]:
        if isinstance(member, Leaf):
            return [f"    {member.name}: {member.hint}"]
        if isinstance(member, Echo):
            return self._echo(member, per_parent)
        if member.form == "attribute":
            return [f"    {member.name}: {member.hint}"]
        key, hint = member.key, member.hint
        if member.form == "constant" and not per_parent:
            sql = joined(prefix).replace("$1", f"'{key}'").replace("$2", "$1").replace("$3", "0")
            return [
                f"    {member.name} = graphql.sql({hint!r}, {sql!r}, parents='gid', children='parent_gid')"
            ]
        args = "" if member.form == "constant" else "skip: int = 0, boom: bool = False"
        given = "skip=0, boom=False" if member.form == "constant" else "skip=skip, boom=boom"
        returns, form = f"tuple[{hint}, list[Any]]", "objects"
        if member.is_step:
            args, given = f"{args}, by: int = 1", f"{given}, by=by"
        takes = "parents, " if member.owner not in ROOTS else ""
        parents = "parents" if takes else "None"
        if not per_parent and member.form == "joined":
            returns, form = f"tuple[{hint}, str, list[Any], list[str], list[str]]", "joined"
            # Both ways to know the parents.
            if int(member.name[1:]) % 2:
                takes, parents = "", "context"
        elif not per_parent and member.form == "shared":
            returns, form, takes, parents = f"tuple[{hint}, str, list[Any]]", "rows", "", "None"
        return [
            "    @classmethod",
            f"    def {member.name}(cls, {takes}context, /, {args}) -> {returns}:".replace(", )", ")"),
            f"        return answers.{form}({key!r}, {parents}, {given})",
        ]

    def _echo(self, echo: Echo, per_parent: bool) -> list[str]:
        hint = "str | None" if echo.nullable else "str"
        if echo.form == "sql":
            args, given = "n: int | None = 1", "n=n"
        elif echo.form == "now":
            args, given = "", ""
        else:
            args = (
                "a: int = 3, b: list[str | None] | None = None, c: Color = Color.RED, d: In | None = None, "
                "e: list[list[int]] | None = None, f: float | None = 0.5, g: graphql.ID | None = None, "
                "h: One | None = None, i: list[One] | None = None"
            )
            given = "a=a, b=b, c=c, d=d, e=e, f=f, g=g, h=h, i=i"
        takes = "parents, " if echo.owner not in ROOTS and (echo.form == "values" or per_parent) else ""
        if echo.form == "sql" and not per_parent:
            returns, call, parents = (
                f"tuple[{hint}, str, list[Any], list[str], list[str]]",
                "echo_rows",
                "context",
            )
        else:
            returns, call, parents = hint, "echo", "parents" if takes else "None"
            call = "now" if echo.form == "now" else "echo"
        return [
            "    @classmethod",
            f"    def {echo.name}(cls, {takes}context, /, {args}) -> {returns}:".replace(", )", ")"),
            f"        return answers.{call}({echo.key!r}, {parents}, {given})".replace(", )", ")"),
        ]


def joined(prefix: str) -> str:
    """Return the statement for the targets of an edge: its key is ``$1``, the parents are ``$2``."""
    return (
        f'SELECT e.parent AS parent_gid, n.*, n.type AS "__typename" FROM {prefix}_edge e '
        f"JOIN {prefix}_node n ON n.gid = e.target "
        "WHERE e.key = $1 AND e.parent = ANY($2::int8[]) AND e.pos >= $3 ORDER BY e.parent, e.pos"
    )


def echo_text(key: str, gid: int | None, given: Sequence[tuple[str, Any]]) -> str:
    """Return what an echo says."""
    return json.dumps([key, gid, dict(given)], sort_keys=True)


def now_text(key: str, state: int) -> str:
    """Return what an echo says about a mutation's progress."""
    return json.dumps([key, state])


def stepped(state: int, by: int) -> int:
    """Return the state after a step; the order of two steps shows in it."""
    return (state * 31 + by) % 1_000_003


def skipped(found: Any, count: int) -> Any:
    """Return targets without the first ones."""
    if found == BOOM:
        return found
    if isinstance(found, list):
        return found[max(count, 0) :]
    return None if count > 0 else found
