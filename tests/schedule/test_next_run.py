"""The times of scheduled runs: those of robfig/cron's tests, and those of a search by minute."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.schedule.expressions import expression
from workflows.spec.schedule.cron import Cron, parse_cron
from workflows.spec.schedule.next_run import next_run
from workflows.spec.schedule.time_zones import time_zone

NEW_YORK, SAO_PAULO = "America/New_York", "America/Sao_Paulo"
# robfig/cron v3.0.1, spec_test.go: TestNext, without its field for seconds.
CASES = [
    ("UTC", "2012-07-09T14:45Z", "0/15 * * * *", "2012-07-09T15:00Z"),
    ("UTC", "2012-07-09T14:59Z", "0/15 * * * *", "2012-07-09T15:00Z"),
    ("UTC", "2012-07-09T14:59:59Z", "0/15 * * * *", "2012-07-09T15:00Z"),
    ("UTC", "2012-07-09T15:45Z", "20-35/15 * * * *", "2012-07-09T16:20Z"),
    ("UTC", "2012-07-09T23:46Z", "*/15 * * * *", "2012-07-10T00:00Z"),
    ("UTC", "2012-07-09T23:45Z", "20-35/15 * * * *", "2012-07-10T00:20Z"),
    ("UTC", "2012-07-09T23:35:51Z", "20-35/15 1/2 */2 * *", "2012-07-11T01:20Z"),
    ("UTC", "2012-07-09T23:35:51Z", "20-35/15 * 9-20 Jul *", "2012-07-10T00:20Z"),
    ("UTC", "2012-07-09T23:35Z", "0 0 9 Apr-Oct ?", "2012-08-09T00:00Z"),
    ("UTC", "2012-07-09T23:35Z", "0 0 */5 Apr,Aug,Oct Mon", "2012-08-01T00:00Z"),
    ("UTC", "2012-07-09T23:35Z", "0 0 */5 Oct Mon", "2012-10-01T00:00Z"),
    ("UTC", "2012-07-09T23:35Z", "0 0 * Feb Mon", "2013-02-04T00:00Z"),
    ("UTC", "2012-07-09T23:35Z", "0 0 * Feb Mon/2", "2013-02-01T00:00Z"),
    ("UTC", "2012-12-31T23:59:45Z", "* * * * *", "2013-01-01T00:00Z"),
    ("UTC", "2012-07-09T23:35Z", "0 0 29 Feb ?", "2016-02-29T00:00Z"),
    (NEW_YORK, "2012-03-11T00:00-05:00", "30 2 11 Mar ?", "2013-03-11T02:30-04:00"),
    (NEW_YORK, "2012-03-11T00:00-05:00", "0 * * * ?", "2012-03-11T01:00-05:00"),
    (NEW_YORK, "2012-03-11T01:00-05:00", "0 * * * ?", "2012-03-11T03:00-04:00"),
    (NEW_YORK, "2012-03-11T03:00-04:00", "0 * * * ?", "2012-03-11T04:00-04:00"),
    (NEW_YORK, "2012-03-11T01:00-05:00", "0 1 * * ?", "2012-03-12T01:00-04:00"),
    (NEW_YORK, "2012-03-11T00:00-05:00", "0 2 * * ?", "2012-03-12T02:00-04:00"),
    (NEW_YORK, "2012-11-04T00:00-04:00", "30 2 04 Nov ?", "2012-11-04T02:30-05:00"),
    (NEW_YORK, "2012-11-04T01:45-04:00", "30 1 04 Nov ?", "2012-11-04T01:30-05:00"),
    (NEW_YORK, "2012-11-04T01:00-04:00", "0 * * * ?", "2012-11-04T01:00-05:00"),
    (NEW_YORK, "2012-11-04T01:00-05:00", "0 * * * ?", "2012-11-04T02:00-05:00"),
    (NEW_YORK, "2012-11-04T00:00-04:00", "0 1 * * ?", "2012-11-04T01:00-04:00"),
    (NEW_YORK, "2012-11-04T01:00-04:00", "0 1 * * ?", "2012-11-04T01:00-05:00"),
    (NEW_YORK, "2012-11-04T01:00-05:00", "0 1 * * ?", "2012-11-05T01:00-05:00"),
    (NEW_YORK, "2012-11-04T00:00-04:00", "0 3 * * ?", "2012-11-04T03:00-05:00"),
    (NEW_YORK, "2012-11-04T00:00-04:00", "0 3 3 * ?", "2012-12-03T03:00-05:00"),
    (SAO_PAULO, "2018-10-17T05:00-04:00", "0 9 10 * ?", "2018-11-10T06:00-05:00"),
    (SAO_PAULO, "2018-02-14T05:00-05:00", "0 9 22 * ?", "2018-02-22T07:00-05:00"),
]
# TestActivation: whether an expression is due at a moment.
ACTIVATIONS = [
    ("2012-07-09T15:45Z", "0/15 * * * *", True),
    ("2012-07-09T15:40Z", "0/15 * * * *", False),
    ("2012-07-09T15:50Z", "5/15 * * * *", True),
    ("2012-07-15T15:00Z", "0/15 * * Jul *", True),
    ("2012-07-15T15:00Z", "0/15 * * Jun *", False),
    ("2012-07-15T08:30Z", "30 08 ? Jul Sun", True),
    ("2012-07-15T08:30Z", "30 08 15 Jul ?", True),
    ("2012-07-16T08:30Z", "30 08 ? Jul Sun", False),
    ("2012-07-16T08:30Z", "30 08 15 Jul ?", False),
    ("2012-07-09T15:04Z", "@hourly", False),
    ("2012-07-09T00:00Z", "@daily", True),
    ("2012-07-08T00:00Z", "@weekly", True),
    ("2012-07-08T00:00Z", "@monthly", False),
    ("2012-07-15T00:00Z", "* * 1,15 * Sun", True),
    ("2012-06-15T00:00Z", "* * 1,15 * Sun", True),
    ("2012-08-01T00:00Z", "* * 1,15 * Sun", True),
    ("2012-07-15T00:00Z", "* * */10 * Sun", True),
    ("2012-07-15T00:00Z", "* * * * Mon", False),
    ("2012-07-09T00:00Z", "* * 1,15 * *", False),
    ("2012-07-15T00:00Z", "* * 1,15 * *", True),
    ("2012-07-15T00:00Z", "* * */2 * Sun", True),
]


@pytest.mark.parametrize(("zone", "after", "text", "expected"), CASES)
def test_next_run_is_that_of_argo(zone: str, after: str, text: str, expected: str) -> None:
    found = next_run(parse_cron(text), time_zone(zone), datetime.fromisoformat(after))
    assert found is not None
    assert found.astimezone(UTC) == datetime.fromisoformat(expected)
    assert str(found.tzinfo) == zone


@pytest.mark.parametrize(("moment", "text", "due"), ACTIVATIONS)
def test_expression_is_due(moment: str, text: str, due: bool) -> None:
    expected = datetime.fromisoformat(moment)
    found = next_run(parse_cron(text), time_zone("UTC"), expected - timedelta(seconds=1))
    assert (found == expected) is due


@pytest.mark.parametrize("text", ["0 0 30 Feb ?", "0 0 31 Apr ?"])
def test_date_that_never_comes_has_no_next_run(text: str) -> None:
    after = datetime(2012, 7, 9, tzinfo=UTC)
    assert next_run(parse_cron(text), time_zone("UTC"), after) is None


def by_minute(cron: Cron, zone: ZoneInfo, after: datetime, limit: datetime) -> datetime | None:
    """Return the first minute whose wall clock time matches, searched one by one."""
    moment = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while moment < limit:
        wall = moment.astimezone(zone)
        weekday = wall.isoweekday() % 7 in cron.weekdays
        day = wall.day in cron.days
        date = (day and weekday) if cron.both_days else (day or weekday)
        if (
            date
            and wall.month in cron.months
            and wall.hour in cron.hours
            and wall.minute in cron.minutes
        ):
            return moment
        moment += timedelta(minutes=1)
    return None


@pytest.mark.parametrize("name", ["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu"])
def test_next_run_is_the_first_minute_that_matches(name: str) -> None:
    """Where clocks change by a whole hour and not at midnight, there is no other rule."""
    rng, zone, span = random.Random(name), time_zone(name), timedelta(days=4)
    begins = [datetime(2027, month, day, tzinfo=UTC) for month, day in ((3, 12), (3, 26), (10, 29))]
    compared = 0
    for _ in range(60):
        cron = parse_cron(expression(rng, wrong=False))
        after = rng.choice(begins) + timedelta(minutes=rng.randrange(2880))
        expected = by_minute(cron, zone, after, after + span)
        found = next_run(cron, zone, after)
        if expected is None:
            assert found is None or found >= after + span
            continue
        compared += 1
        assert found is not None
        assert found.astimezone(UTC) == expected, (cron.text, after)
    assert compared > 20
