"""Sets, hashes and sorted sets under the cache's keys: django-redis's methods.

Members and values go through the cache's serializer; fields of hashes and scores do not. Time-outs are the
business of `expire`. What Redis does is in its own documentation, by the names of the methods.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from ._core import Core, ignorable, nothing

_Scored = list[tuple[Any, float]]


class Collections(Core):
    """Sets, hashes and sorted sets."""

    # ---------------------------------------------------------------- sets

    @ignorable(int)
    def sadd(self, key: str, *values: Any, version: int | None = None) -> int:
        """Adds to a set; how many are new."""
        return int(self._write.sadd(self._key(key, version), *map(self.encode, values)))

    @ignorable(int)
    def srem(self, key: str, *members: Any, version: int | None = None) -> int:
        """Takes members out of a set; how many there were."""
        return int(self._write.srem(self._key(key, version), *map(self.encode, members)))

    @ignorable(int)
    def scard(self, key: str, version: int | None = None) -> int:
        """How many members a set has."""
        return int(self._read.scard(self._key(key, version)))

    @ignorable(set)
    def smembers(self, key: str, version: int | None = None) -> set[Any]:
        """All members of a set."""
        return set(map(self.decode, self._read.smembers(self._key(key, version))))

    @ignorable(bool)
    def sismember(self, key: str, member: Any, version: int | None = None) -> bool:
        """Whether a set has this member."""
        return bool(self._read.sismember(self._key(key, version), self.encode(member)))

    @ignorable(list)
    def smismember(self, key: str, *members: Any, version: int | None = None) -> list[bool]:
        """For each, whether a set has this member."""
        return [
            bool(each) for each in self._read.smismember(self._key(key, version), *map(self.encode, members))
        ]

    @ignorable(bool)
    def smove(self, source: str, destination: str, member: Any, version: int | None = None) -> bool:
        """Moves a member from one set to another; False if it was not there."""
        names = self._key(source, version), self._key(destination, version)
        return bool(self._write.smove(*names, self.encode(member)))

    @ignorable(nothing)
    def spop(self, key: str, count: int | None = None, version: int | None = None) -> Any:
        """Takes a member out of a set, or a set of `count` of them."""
        found = self._write.spop(self._key(key, version), count)
        if count is None:
            return None if found is None else self.decode(found)
        return set(map(self.decode, found or ()))

    @ignorable(nothing)
    def srandmember(self, key: str, count: int | None = None, version: int | None = None) -> Any:
        """A member of a set, or a list of `count` of them."""
        found = self._read.srandmember(self._key(key, version), count)
        if count is None:
            return None if found is None else self.decode(found)
        return list(map(self.decode, found or ()))

    @ignorable(set)
    def sdiff(self, *keys: str, version: int | None = None) -> set[Any]:
        """The members of the first set that none of the others has."""
        return set(map(self.decode, self._read.sdiff(*self._names(keys, version))))

    @ignorable(set)
    def sinter(self, *keys: str, version: int | None = None) -> set[Any]:
        """The members that all sets have."""
        return set(map(self.decode, self._read.sinter(*self._names(keys, version))))

    @ignorable(set)
    def sunion(self, *keys: str, version: int | None = None) -> set[Any]:
        """The members that any of the sets has."""
        return set(map(self.decode, self._read.sunion(*self._names(keys, version))))

    @ignorable(int)
    def sdiffstore(
        self, dest: str, *keys: str, version_dest: int | None = None, version_keys: int | None = None
    ) -> int:
        """As `sdiff`, into a set; how many they are."""
        return int(self._write.sdiffstore(self._key(dest, version_dest), *self._names(keys, version_keys)))

    @ignorable(int)
    def sinterstore(self, dest: str, *keys: str, version: int | None = None) -> int:
        """As `sinter`, into a set; how many they are."""
        return int(self._write.sinterstore(self._key(dest, version), *self._names(keys, version)))

    @ignorable(int)
    def sunionstore(self, destination: str, *keys: str, version: int | None = None) -> int:
        """As `sunion`, into a set; how many they are."""
        return int(self._write.sunionstore(self._key(destination, version), *self._names(keys, version)))

    @ignorable(set)
    def sscan(
        self, key: str, match: str | None = None, count: int | None = 10, version: int | None = None
    ) -> set[Any]:
        """The members on the first page of a set; of a small one, all."""
        _, page = self._read.sscan(self._key(key, version), count=count)
        return {member for member in map(self.decode, page) if _matches(member, match)}

    def sscan_iter(
        self, key: str, match: str | None = None, count: int | None = 10, version: int | None = None
    ) -> Iterator[Any]:
        """The members of a set, page by page. `match` is compared with members that are text, here."""
        for data in self._read.sscan_iter(self._key(key, version), count=count):
            member = self.decode(data)
            if _matches(member, match):
                yield member

    # ---------------------------------------------------------------- hashes

    @ignorable(int)
    def hset(
        self,
        key: str,
        field: str | None = None,
        value: Any = None,
        mapping: Mapping[str, Any] | None = None,
        version: int | None = None,
    ) -> int:
        """Sets fields of a hash; how many are new."""
        fields = dict(mapping or {})
        if field is not None:
            fields[field] = value
        encoded = {name: self.encode(each) for name, each in fields.items()}
        return int(self._write.hset(self._key(key, version), mapping=encoded))

    def hget(self, key: str, field: str, default: Any = None, version: int | None = None) -> Any:
        """The value of a field, or `default`."""
        data = self._hget(self._key(key, version), field)
        return default if data is None else self.decode(data)

    @ignorable(nothing)
    def _hget(self, key: str, field: str) -> bytes | None:
        return self._read.hget(key, field)  # type: ignore[no-any-return]

    @ignorable(dict)
    def hgetall(self, key: str, version: int | None = None) -> dict[str, Any]:
        """All fields and their values."""
        found = self._read.hgetall(self._key(key, version))
        return {field.decode(): self.decode(data) for field, data in found.items()}

    @ignorable(int)
    def hdel(self, key: str, *fields: str, version: int | None = None) -> int:
        """Takes fields out of a hash; how many there were."""
        return int(self._write.hdel(self._key(key, version), *fields))

    @ignorable(int)
    def hlen(self, key: str, version: int | None = None) -> int:
        """How many fields a hash has."""
        return int(self._read.hlen(self._key(key, version)))

    @ignorable(list)
    def hkeys(self, key: str, version: int | None = None) -> list[str]:
        """The fields of a hash."""
        return [field.decode() for field in self._read.hkeys(self._key(key, version))]

    @ignorable(bool)
    def hexists(self, key: str, field: str, version: int | None = None) -> bool:
        """Whether a hash has this field."""
        return bool(self._read.hexists(self._key(key, version), field))

    # ---------------------------------------------------------------- sorted sets

    @ignorable(nothing)
    def zadd(self, key: str, mapping: Mapping[Any, float], version: int | None = None, **options: Any) -> Any:
        """Adds members with scores to a sorted set; how many are new.

        The options `nx`, `xx`, `gt`, `lt`, `ch` and `incr` are redis-py's.
        """
        scores = {self.encode(member): score for member, score in mapping.items()}
        return self._write.zadd(self._key(key, version), scores, **options)

    @ignorable(int)
    def zrem(self, key: str, *members: Any, version: int | None = None) -> int:
        """Takes members out of a sorted set; how many there were."""
        return int(self._write.zrem(self._key(key, version), *map(self.encode, members)))

    @ignorable(int)
    def zcard(self, key: str, version: int | None = None) -> int:
        """How many members a sorted set has."""
        return int(self._read.zcard(self._key(key, version)))

    @ignorable(int)
    def zcount(self, key: str, min: float | str, max: float | str, version: int | None = None) -> int:
        """How many members have a score from `min` to `max`."""
        return int(self._read.zcount(self._key(key, version), min, max))

    @ignorable(nothing)
    def zscore(self, key: str, member: Any, version: int | None = None) -> float | None:
        """The score of a member."""
        score: float | None = self._read.zscore(self._key(key, version), self.encode(member))
        return score

    @ignorable(nothing)
    def zrank(self, key: str, member: Any, withscore: bool = False, version: int | None = None) -> Any:
        """The place of a member, from 0."""
        return self._read.zrank(self._key(key, version), self.encode(member), withscore=withscore)

    @ignorable(nothing)
    def zincrby(self, key: str, amount: float, value: Any, version: int | None = None) -> float | None:
        """Adds to a member's score; the sum."""
        return float(self._write.zincrby(self._key(key, version), amount, self.encode(value)))

    @ignorable(nothing)
    def zpopmax(self, key: str, count: int | None = None, version: int | None = None) -> Any:
        """Takes out the member with the highest score, with it, or a list of `count` of them."""
        return self._popped(self._write.zpopmax(self._key(key, version), count), count)

    @ignorable(nothing)
    def zpopmin(self, key: str, count: int | None = None, version: int | None = None) -> Any:
        """Takes out the member with the lowest score, with it, or a list of `count` of them."""
        return self._popped(self._write.zpopmin(self._key(key, version), count), count)

    def _popped(self, found: Any, count: int | None) -> _Scored | tuple[Any, float] | None:
        members = [(self.decode(member), score) for member, score in found or ()]
        if count is not None:
            return members
        return members[0] if members else None

    @ignorable(list)
    def zrange(
        self,
        key: str,
        start: int,
        end: int,
        desc: bool = False,
        withscores: bool = False,
        score_cast_func: Any = float,
        version: int | None = None,
    ) -> list[Any]:
        """The members from place `start` to `end`, with their scores if they are asked for."""
        name = self._key(key, version)
        return self._members(
            self._read.zrange(name, start, end, desc, withscores, score_cast_func), withscores
        )

    @ignorable(list)
    def zrevrange(
        self,
        key: str,
        start: int,
        end: int,
        withscores: bool = False,
        score_cast_func: Any = float,
        version: int | None = None,
    ) -> list[Any]:
        """As `zrange`, from the highest score down."""
        name = self._key(key, version)
        return self._members(self._read.zrevrange(name, start, end, withscores, score_cast_func), withscores)

    @ignorable(list)
    def zrangebyscore(
        self,
        key: str,
        min: float | str,
        max: float | str,
        start: int | None = None,
        num: int | None = None,
        withscores: bool = False,
        score_cast_func: Any = float,
        version: int | None = None,
    ) -> list[Any]:
        """The members with a score from `min` to `max`; of these `num`, from number `start`."""
        name = self._key(key, version)
        found = self._read.zrangebyscore(name, min, max, start, num, withscores, score_cast_func)
        return self._members(found, withscores)

    @ignorable(list)
    def zrevrangebyscore(
        self,
        key: str,
        max: float | str,
        min: float | str,
        start: int | None = None,
        num: int | None = None,
        withscores: bool = False,
        score_cast_func: Any = float,
        version: int | None = None,
    ) -> list[Any]:
        """As `zrangebyscore`, from the highest score down."""
        name = self._key(key, version)
        found = self._read.zrevrangebyscore(name, max, min, start, num, withscores, score_cast_func)
        return self._members(found, withscores)

    @ignorable(int)
    def zremrangebyscore(
        self, key: str, min: float | str, max: float | str, version: int | None = None
    ) -> int:
        """Takes out the members with a score from `min` to `max`; how many there were."""
        return int(self._write.zremrangebyscore(self._key(key, version), min, max))

    # ---------------------------------------------------------------- what they share

    @property
    def _read(self) -> Any:
        return self._setup.client(False)

    @property
    def _write(self) -> Any:
        return self._setup.client(True)

    def _names(self, keys: tuple[str, ...], version: int | None) -> list[str]:
        return [self._key(key, version) for key in keys]

    def _members(self, found: Any, withscores: bool) -> list[Any]:
        if withscores:
            return [(self.decode(member), score) for member, score in found]
        return list(map(self.decode, found))


def _matches(member: Any, pattern: str | None) -> bool:
    return pattern is None or (isinstance(member, str) and fnmatchcase(member, pattern))
