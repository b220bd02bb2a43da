"""The times at which Argo starts scheduled runs.

``next_run`` is a port of ``SpecSchedule.Next`` of robfig/cron v3.0.1, with what it relies on of
Go's package time, because the times at which clocks change follow from how it searches.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from workflows.spec.schedule.cron import Cron

_MAX_YEARS = 5
_MINUTE, _HOUR = 60, 3600
_NOON = 12


def next_run(cron: Cron, zone: ZoneInfo, after: datetime) -> datetime | None:
    """Return the first run after a moment, in the time zone; None if it is not in five years."""
    found = _Search(cron, zone, after).first()
    return None if found is None else datetime.fromtimestamp(found, zone)


class _Search:
    """A moment that moves forward, field by field, until all fields match.

    Attributes:
        unix: the moment, in seconds since 1970.
        wall: the moment on the wall clock of the time zone.
    """

    def __init__(self, cron: Cron, zone: ZoneInfo, after: datetime) -> None:
        self._cron, self._zone, self._truncated = cron, zone, False
        begin = int(after.timestamp())
        self._move(begin - begin % _MINUTE + _MINUTE)

    def first(self) -> int | None:
        limit = self.wall.year + _MAX_YEARS
        while self.wall.year <= limit:
            if self._month() and self._day() and self._hour() and self._minute():
                return self.unix
        return None

    # Each method returns false if its field wraps around: the larger fields must then be checked
    # again.

    def _month(self) -> bool:
        while self.wall.month not in self._cron.months:
            self._truncate(self.wall.replace(day=1, hour=0, minute=0))
            self._move_to(self.wall, months=1)
            if self.wall.month == 1:
                return False
        return True

    def _day(self) -> bool:
        while not self._cron.matches_day(self.wall):
            self._truncate(self.wall.replace(hour=0, minute=0))
            self._move_to(self.wall, days=1)
            hour = self.wall.hour
            if hour:  # midnight does not exist on this day
                self._move(self.unix + _HOUR * (24 - hour if hour > _NOON else -hour))
            if self.wall.day == 1:
                return False
        return True

    def _hour(self) -> bool:
        while self.wall.hour not in self._cron.hours:
            self._truncate(self.wall.replace(minute=0))
            self._move(self.unix + _HOUR)
            if self.wall.hour == 0:
                return False
        return True

    def _minute(self) -> bool:
        while self.wall.minute not in self._cron.minutes:
            self._truncated = True
            self._move(self.unix + _MINUTE)
            if self.wall.minute == 0:
                return False
        return True

    def _truncate(self, wall: datetime) -> None:
        """Move to the first value of all smaller fields, once per search."""
        if not self._truncated:
            self._truncated = True
            self._move_to(wall)

    def _move(self, unix: int) -> None:
        self.unix = unix
        self.wall = datetime.fromtimestamp(unix, self._zone).replace(tzinfo=None, fold=0)

    def _move_to(self, wall: datetime, *, months: int = 0, days: int = 0) -> None:
        """Move to a wall clock time as Go's ``time.Date`` does, also where it does not exist."""
        year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
        wall = wall.replace(year=year, month=month + 1, day=1) + timedelta(days=wall.day - 1 + days)
        unix = int(wall.replace(tzinfo=UTC).timestamp())
        self._move(unix - self._offset(unix - self._offset(unix)))

    def _offset(self, unix: int) -> int:
        offset = datetime.fromtimestamp(unix, self._zone).utcoffset()
        assert offset is not None
        return int(offset.total_seconds())
