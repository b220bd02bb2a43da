"""Runs that Argo skips or starts twice where the clocks of a schedule's time zone change."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from workflows.spec.schedule.cron import Cron
from workflows.spec.schedule.next_run import next_run

_DAY_SECONDS = 86_400
_HORIZON_SECONDS = 367 * _DAY_SECONDS
_AROUND = timedelta(hours=26)
_HOURS_OF_A_DAY = 24


@dataclass(frozen=True)
class ClockChange:
    """A change of the clocks that a schedule's runs fall into.

    Attributes:
        skipped: wall clock times of runs that Argo does not start, sorted.
        repeated: wall clock times of runs that Argo starts twice, sorted.
    """

    skipped: list[datetime]
    repeated: list[datetime]


def clock_changes(cron: Cron, zone: ZoneInfo, after: datetime) -> list[ClockChange]:
    """Return the changes within a year that skip or repeat runs.

    A schedule for every hour runs every hour, whatever the clocks show.
    """
    if len(cron.hours) == _HOURS_OF_A_DAY:
        return []
    found = (_change(cron, zone, moment) for moment in _moments(zone, after))
    return [change for change in found if change.skipped or change.repeated]


def _moments(zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield the moments within a year at which the offset from UTC changes."""
    begin = int(after.timestamp())
    for low, high in pairwise(range(begin, begin + _HORIZON_SECONDS, _DAY_SECONDS)):
        offset = _offset(low, zone)
        if _offset(high, zone) != offset:
            seconds = range(low, high)
            first = bisect(seconds, 0, key=lambda second: _offset(second, zone) != offset)
            yield datetime.fromtimestamp(seconds[first], UTC)


def _offset(unix: int, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(unix, zone).utcoffset()


def _change(cron: Cron, zone: ZoneInfo, moment: datetime) -> ClockChange:
    begin, end = moment - _AROUND, moment + _AROUND
    started = Counter(_started(cron, zone, begin, end))
    expected = _expected(cron, _wall(begin, zone), _wall(end, zone))
    return ClockChange(
        skipped=sorted(set(expected) - set(started)),
        repeated=sorted(wall for wall, times in started.items() if times > 1),
    )


def _started(cron: Cron, zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the wall clock times at which Argo starts runs."""
    moment = next_run(cron, zone, begin)
    while moment is not None and moment.astimezone(UTC) <= end:
        yield _wall(moment, zone)
        moment = next_run(cron, zone, moment)


def _expected(cron: Cron, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the wall clock times that match, whether or not they exist."""
    for number in range((end.date() - begin.date()).days + 1):
        day = datetime.combine(begin.date() + timedelta(days=number), datetime.min.time())
        if day.month in cron.months and cron.matches_day(day):
            times = (day.replace(hour=h, minute=m) for h in cron.hours for m in cron.minutes)
            yield from (wall for wall in times if begin < wall <= end)


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
