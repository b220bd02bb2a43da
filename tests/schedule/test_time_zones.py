"""Names of time zones: those that every copy of the database has, and what to write instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from workflows.spec.schedule.time_zones import advice, exists, plain_name, time_zone

NAMES = sorted(files("tzdata").joinpath("zones").read_text().split())
ADVICE = {
    "Europe/Pariss": "Did you mean 'Europe/Paris'?",
    "europe/paris": "Did you mean 'Europe/Paris'?",
    "EUROPE/PARIS": "Did you mean 'Europe/Paris'?",
    "Paris": "Did you mean 'Europe/Paris'?",
    "new york": "Did you mean 'America/New_York'?",
    "US/Pacific-New": "Did you mean 'America/Los_Angeles'?",
    "posix/Europe/Paris": "Did you mean 'Europe/Paris'?",
    "PST": "An abbreviation is not a zone. Clocks in America/Los_Angeles, ",
    "BST": "An abbreviation is not a zone. Clocks in Europe/London show BST.",
    "GMT+2": "Etc/GMT-2 is 2 hours ahead of UTC all year.",
    "gmt-1": "Etc/GMT+1 is 1 hour behind UTC all year.",
    "UTC+0": "Use the name of a place",
    "UTC+5:30": "Use the name of a place",
    "UTC-05:00": "Etc/GMT+5 is 5 hours behind UTC all year.",
    "Local": "It would be the clock of Argo's controller",
    "": "Use the name of a place",
    "GMT+20": "Use the name of a place",
    "Mars/Olympus": "Use the name of a place",
}


@pytest.mark.parametrize("name", ADVICE)
def test_name_that_does_not_exist_has_advice(name: str) -> None:
    assert not exists(name)
    assert advice(name).startswith(ADVICE[name])
    assert advice(name).endswith("Use the name of a place, such as Europe/Paris, or UTC.")


@pytest.mark.parametrize("name", ["zone.tab", "tzdata.zi", "../zones", "/etc/localtime", "Factory"])
def test_files_of_the_database_are_no_zones(name: str) -> None:
    assert not exists(name)


@pytest.mark.parametrize("name", ["Etc/GMT-2", "Etc/GMT+5"])
def test_suggested_offset_has_the_sign_of_the_advice(name: str) -> None:
    offset = time_zone(name).utcoffset(datetime(2026, 1, 1))  # noqa: DTZ001 - of the zone itself
    assert offset == timedelta(hours=-int(name.removeprefix("Etc/GMT")))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("UTC", "UTC"),
        ("Europe/Amsterdam", "Europe/Amsterdam"),
        ("CET", "Europe/Brussels"),
        ("US/Pacific", "America/Los_Angeles"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("GMT", "Etc/GMT"),
    ],
)
def test_name_for_argo_is_that_of_a_place(name: str, plain: str) -> None:
    """Argo's image of 3.7.10 and 4.0.1 lacked the others: argo-workflows #15653."""
    assert plain_name(name) == plain


def test_name_for_argo_has_the_same_clocks() -> None:
    moments = [datetime(2026, month, 15, tzinfo=UTC) for month in range(1, 13)]
    for name in set(NAMES) - {"Factory"}:
        assert exists(name)
        zone, plain = time_zone(name), time_zone(plain_name(name))
        assert [zone.utcoffset(m) for m in moments] == [plain.utcoffset(m) for m in moments], name
