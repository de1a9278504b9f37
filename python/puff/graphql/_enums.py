"""The values of enums: their names, descriptions and deprecations."""

from __future__ import annotations

import enum

from ._docs import describe_class
from ._model import EnumValue
from ._names import invalid_name
from ._options import TypeOptions, type_options
from ._where import Problem, Where

_NOT_VALUES = frozenset({"true", "false", "null"})


def read_enum(cls: type[enum.Enum]) -> list[EnumValue]:
    """Return the values of an enum; an alias of a member is none of its own.

    Raises:
        SchemaError: It has no members, or something is said of a member that is not there or is no name.
    """
    options = type_options(cls, "enum") or TypeOptions()
    if not cls.__members__:
        raise Where(cls).error(Problem("the enum has no members", "Add one"))
    for said in (options.values, options.deprecated):
        for name in said:
            if name not in cls.__members__ or cls[name].name != name:
                raise Where(cls).error(
                    Problem(
                        f"graphql.enum(...) speaks of the member {name!r}, and the enum has none",
                        "Use the names of members",
                    )
                )
    _, docs = describe_class(cls)
    values: dict[str, EnumValue] = {}
    for member in cls:
        name = options.values.get(member.name, member.name)
        problem = invalid_name(name)
        if name in _NOT_VALUES:
            problem = Problem(f"GraphQL reserves the enum value {name!r}", "Rename the member")
        elif name in values:
            problem = Problem(f"two members are called {name!r}", "Rename one of them")
        if problem is not None:
            raise Where(cls, member.name).error(problem)
        description = docs.get(member.name, "")
        values[name] = EnumValue(name, member, description, options.deprecated.get(member.name))
    return list(values.values())


def other_texts(values: list[EnumValue]) -> dict[str, str]:
    """Return which values are meant by texts that are not their names.

    These are the members' own names, and members' values that are text or numbers. A text that could mean two
    values means the first.
    """
    names = {value.name for value in values}
    found: dict[str, str] = {}
    for value in values:
        found.setdefault(value.member.name, value.name)
    for value in values:
        if isinstance(value.member.value, (str, int)):
            found.setdefault(str(value.member.value), value.name)
    return {text: name for text, name in found.items() if text not in names}
