"""Runs that Argo skips or starts twice where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workflows.spec.model import ScheduleConfig
from workflows.spec.schedule.check import schedule_note, schedule_warnings
from workflows.spec.schedule.clock_changes import clock_changes
from workflows.spec.schedule.cron import parse_cron
from workflows.spec.schedule.time_zones import time_zone

NOW = datetime(2023, 11, 29, 12, tzinfo=UTC)
"""The year after it is in the past, which a new version of the time zones does not change."""


def effects(cron: str, zone: str) -> list[tuple[list[str], list[str]]]:
    """Return the skipped and the repeated times of each change."""
    changes = clock_changes(parse_cron(cron), time_zone(zone), NOW)
    return [
        ([f"{w:%m-%d %H:%M}" for w in each.skipped], [f"{w:%m-%d %H:%M}" for w in each.repeated])
        for each in changes
    ]


@pytest.mark.parametrize(
    ("cron", "zone", "expected"),
    [
        # The European Union changes at 01:00 UTC on the last Sundays of March and October.
        ("30 2 * * *", "Europe/Paris", [(["03-31 02:30"], []), ([], ["10-27 02:30"])]),
        ("0 3 * * *", "Europe/Paris", []),
        ("30 1 * * *", "Europe/London", [(["03-31 01:30"], []), ([], ["10-27 01:30"])]),
        # The United States change at 02:00, on Sundays of March and November.
        ("30 2 * * *", "America/New_York", [(["03-10 02:30"], [])]),
        ("30 1 * * *", "America/New_York", [([], ["11-03 01:30"])]),
        # Cuba and Egypt change at midnight.
        ("0 0 * * *", "America/Havana", [(["03-10 00:00"], []), ([], ["11-03 00:00"])]),
        ("0 0 * * *", "Africa/Cairo", [(["04-26 00:00"], [])]),
        # In the south, summer ends in April.
        ("30 2 * * *", "Australia/Sydney", [([], ["04-07 02:30"]), (["10-06 02:30"], [])]),
        # Only the days of the schedule count.
        ("30 2 * * 1-6", "Europe/Paris", []),
        ("30 2 * 1 *", "Europe/Paris", []),
        ("30 2 31 3 *", "Europe/Paris", [(["03-31 02:30"], [])]),
        # Every hour is every hour.
        ("30 * * * *", "Europe/Paris", []),
        ("30 2 * * *", "UTC", []),
        ("30 2 * * *", "Asia/Tokyo", []),
        ("30 2 * * *", "Africa/Lagos", []),
    ],
)
def test_runs_that_clocks_skip_or_repeat(
    cron: str, zone: str, expected: list[tuple[list[str], list[str]]]
) -> None:
    assert effects(cron, zone) == expected


def test_a_change_by_half_an_hour_skips_runs_of_the_whole_day() -> None:
    """The parser then searches at half past: robfig.jsonl has cases of this zone too."""
    assert (["04-07 12:00"], []) in effects("0 12 * * *", "Australia/Lord_Howe")


def test_warning_names_times_and_dates() -> None:
    schedule = ScheduleConfig(cron="*/10 2 * * *", timezone="Europe/Paris")
    assert schedule_warnings(schedule, NOW) == [
        "The clocks of Europe/Paris change, and Argo starts no run at 02:00 to 02:50 on 2024-03-31 "
        "and two runs at 02:00 to 02:50 on 2024-10-27. "
        "Choose a time that every day has once, or set schedule.timezone to UTC."
    ]
    assert schedule_warnings(ScheduleConfig(cron="0 6 * * 1"), NOW) == []
    assert schedule_warnings(None, NOW) == []


def test_note_lists_the_next_runs() -> None:
    schedule = ScheduleConfig(cron="0 6 * * mon", timezone="Europe/Paris")
    assert schedule_note(schedule, NOW) == (
        "schedule: next runs Mon 2023-12-04 06:00, Mon 2023-12-11 06:00, Mon 2023-12-18 06:00 "
        "(Europe/Paris)"
    )
    paused = schedule.model_copy(update={"suspended": True})
    assert schedule_note(paused, NOW) == "schedule: paused"
