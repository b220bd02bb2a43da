"""Check a schedule that a user wrote, and describe when it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby

from steps.errors import Problem
from workflows.spec.model import ScheduleConfig
from workflows.spec.schedule import time_zones
from workflows.spec.schedule.clock_changes import clock_changes
from workflows.spec.schedule.cron import CronError, parse_cron
from workflows.spec.schedule.next_run import next_run

_SHOWN_RUNS = 3
_SHOWN_TIMES = 4


def schedule_problems(schedule: object) -> list[Problem]:
    """Return what Argo would refuse in a schedule; only the log of its controller reports that.

    The model of the spec accepts any text, so that the stored specs of past runs stay valid with
    other versions of the time zones.

    Args:
        schedule: the value of ``schedule`` in a spec. The model reports wrong types.
    """
    if not isinstance(schedule, dict):
        return []
    return [*_cron_problems(schedule.get("cron")), *_zone_problems(schedule.get("timezone"))]


def _cron_problems(cron: object) -> Iterator[Problem]:
    if not isinstance(cron, str):
        return
    try:
        parse_cron(cron).check_comes()
    except CronError as error:
        yield Problem("schedule.cron", f"{cron!r} is not valid: {error.reason}", error.hint)


def _zone_problems(name: object) -> Iterator[Problem]:
    if isinstance(name, str) and not time_zones.exists(name):
        message = f"{name!r} is not a time zone of the IANA database"
        yield Problem("schedule.timezone", message, time_zones.advice(name))


def schedule_note(schedule: ScheduleConfig, after: datetime | None = None) -> str:
    """Return a line with the next runs of a valid schedule.

    Args:
        schedule: a schedule without problems.
        after: moment from which runs are listed; default: now.
    """
    if schedule.suspended:
        return "schedule: paused"
    cron, zone = parse_cron(schedule.cron), time_zones.time_zone(schedule.timezone)
    runs: list[str] = []
    moment = next_run(cron, zone, after or datetime.now(UTC))
    while moment is not None and len(runs) < _SHOWN_RUNS:
        runs.append(f"{moment:%a %Y-%m-%d %H:%M}")
        moment = next_run(cron, zone, moment)
    return f"schedule: next runs {', '.join(runs)} ({schedule.timezone})"


def schedule_warnings(schedule: ScheduleConfig | None, after: datetime | None = None) -> list[str]:
    """Return a warning about runs within a year that Argo skips or repeats, if there are any.

    Args:
        schedule: a schedule without problems, if the spec has one.
        after: begin of the year; default: now.
    """
    if schedule is None:
        return []
    cron, zone = parse_cron(schedule.cron), time_zones.time_zone(schedule.timezone)
    effects = [
        f"{count} at {times}"
        for change in clock_changes(cron, zone, after or datetime.now(UTC))
        for count, walls in (("no run", change.skipped), ("two runs", change.repeated))
        for times in _times(walls)
    ]
    if not effects:
        return []
    return [
        f"The clocks of {schedule.timezone} change, and Argo starts {' and '.join(effects)}. "
        "Choose a time that every day has once, or set schedule.timezone to UTC."
    ]


def _times(walls: Sequence[datetime]) -> Iterator[str]:
    """Yield the times of each date, such as ``02:00, 02:30 on 2027-03-28``."""
    for date, group in groupby(walls, key=datetime.date):
        times = [f"{wall:%H:%M}" for wall in group]
        few = len(times) <= _SHOWN_TIMES
        yield f"{', '.join(times) if few else f'{times[0]} to {times[-1]}'} on {date}"
