"""Time zones for `cursor.tzinfo_factory`: `FixedOffsetTimezone`, and `LOCAL`, this machine's zone.

The driver itself gives ``datetime.timezone``; these are for programs written for psycopg2.
"""

from __future__ import annotations

import datetime
import time
from typing import ClassVar

__all__ = ["DSTDIFF", "DSTOFFSET", "LOCAL", "STDOFFSET", "ZERO", "FixedOffsetTimezone", "LocalTimezone"]

ZERO = datetime.timedelta(0)
STDOFFSET = datetime.timedelta(seconds=-time.timezone)
DSTOFFSET = datetime.timedelta(seconds=-time.altzone) if time.daylight else STDOFFSET
DSTDIFF = DSTOFFSET - STDOFFSET


class FixedOffsetTimezone(datetime.tzinfo):
    """A zone with a constant offset, east of UTC: a timedelta or a number of minutes.

    The same arguments give the same object. Zones are equal if their offsets are.

    Example:
        >>> FixedOffsetTimezone(90).tzname(None)
        '+01:30'
    """

    _made: ClassVar[dict[tuple[object, object], FixedOffsetTimezone]] = {}
    _LIMIT = 1024

    _offset: datetime.timedelta
    _name: str | None

    def __new__(
        cls, offset: datetime.timedelta | float | None = None, name: str | None = None
    ) -> FixedOffsetTimezone:
        key = (offset, name)
        found = cls._made.get(key)
        if found is None:
            found = super().__new__(cls)
            if offset is None:
                offset = ZERO
            found._offset = (
                offset if isinstance(offset, datetime.timedelta) else datetime.timedelta(minutes=offset)
            )
            found._name = name
            if len(cls._made) < cls._LIMIT:  # Offsets come from data, so there is a bound.
                cls._made[key] = found
        return found

    def __init__(self, offset: datetime.timedelta | float | None = None, name: str | None = None) -> None:
        pass

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}(offset={self._offset!r}, name={self._name!r})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FixedOffsetTimezone):
            return self._offset == other._offset
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._offset)

    def __getinitargs__(self) -> tuple[datetime.timedelta, str | None]:
        return self._offset, self._name

    def __reduce__(self) -> tuple[type[FixedOffsetTimezone], tuple[datetime.timedelta, str | None]]:
        return type(self), (self._offset, self._name)

    def utcoffset(self, when: datetime.datetime | None) -> datetime.timedelta:
        return self._offset

    def tzname(self, when: datetime.datetime | None) -> str:
        if self._name is not None:
            return self._name
        sign = "-" if self._offset < ZERO else "+"
        minutes, seconds = divmod(int(abs(self._offset).total_seconds()), 60)
        hours, minutes = divmod(minutes, 60)
        name = f"{sign}{hours:02d}"
        if minutes or seconds:
            name += f":{minutes:02d}"
        if seconds:
            name += f":{seconds:02d}"
        return name

    def dst(self, when: datetime.datetime | None) -> datetime.timedelta:
        return ZERO


class LocalTimezone(datetime.tzinfo):
    """This machine's time zone, with its daylight saving time, as the C library knows it."""

    def _in_summer(self, when: datetime.datetime | None) -> bool:
        if when is None:
            return False
        stamp = time.mktime((*when.replace(tzinfo=None).timetuple()[:6], when.weekday(), 0, -1))
        return time.localtime(stamp).tm_isdst > 0

    def utcoffset(self, when: datetime.datetime | None) -> datetime.timedelta:
        return DSTOFFSET if self._in_summer(when) else STDOFFSET

    def dst(self, when: datetime.datetime | None) -> datetime.timedelta:
        return DSTDIFF if self._in_summer(when) else ZERO

    def tzname(self, when: datetime.datetime | None) -> str:
        return time.tzname[self._in_summer(when)]


LOCAL = LocalTimezone()
