"""Valid and invalid cron expressions, and what to do about the invalid ones."""

from __future__ import annotations

import re

import pytest

from workflows.spec.model import ExperimentSpec
from workflows.spec.schedule.cron import FIELDS, MINUTE, WEEKDAY, CronError, parse_cron

ALL = [frozenset(range(each.low, each.high + 1)) for each in FIELDS]
VALUES = {
    # robfig/cron v3.0.1, parser_test.go: TestRange, TestField and TestParseSchedule.
    "5 * * * *": (0, {5}),
    "5-5 * * * *": (0, {5}),
    "5-7 * * * *": (0, {5, 6, 7}),
    "5-6/2 * * * *": (0, {5}),
    "5-7/2 * * * *": (0, {5, 7}),
    "5,6,7 * * * *": (0, {5, 6, 7}),
    "1,5-7/2,3 * * * *": (0, {1, 3, 5, 7}),
    "*/20 * * * *": (0, {0, 20, 40}),
    # spec_test.go: TestActivation and TestNext.
    "5/15 * * * *": (0, {5, 20, 35, 50}),
    "0 0 */10 * Sun": (2, {1, 11, 21, 31}),
    "0 0 * Apr-Oct ?": (3, {4, 5, 6, 7, 8, 9, 10}),
    "0 0 * Feb Mon/2": (4, {1, 3, 5}),
    "30 08 ? Jul Sun": (1, {8}),
    # More of the same grammar.
    "0 0 * * SUN,sAt": (4, {0, 6}),
    "0\t0\u00a0* *  1": (4, {1}),
    " 0 6 1,,15, * * ": (2, {1, 15}),
    "*/90 * * * *": (0, {0}),
    "@weekly": (4, {0}),
}
INVALID = {
    # robfig/cron v3.0.1: TestRange, TestStandardSpecSchedule, TestErrors, TestSlash0NoHang.
    "5--5 * * * *": "'5--5' is not a minute",
    "0 0 * jan-x *": "the month 'x'",
    "*/-12 * * * *": "'*/-12' is not a minute",
    "*//2 * * * *": "'*//2' is not a minute",
    "0 0 0 * *": "the day of the month '0' is not in 1-31",
    "0 0 32 * *": "the day of the month '32' is not in 1-31",
    "0 5-3 * * *": "'5-3' goes backwards",
    "15/0 * * * *": "the step of '15/0'",
    "5 j * * *": "the hour 'j' is not in 0-23",
    "* * * *": "it has 4 fields",
    "": "it has 0 fields",
    "xyz": "it has 1 fields",
    "60 0 * * *": "the minute '60' is not in 0-59",
    "0 60 * * *": "the hour '60' is not in 0-23",
    "0 0 * * XYZ": "the day of the week 'XYZ' is not in 0-6 or SUN-SAT",
    "@unrecognized": "'@unrecognized' is unknown",
    # Of other programs, with which they are valid.
    "0 6 * * 7": "the day of the week '7' is not in 0-6 or SUN-SAT",
    "0 24 * * *": "the hour '24' is not in 0-23",
    "0 6 * * sat-sun": "'sat-sun' goes backwards",
    "0 22-6 * * *": "'22-6' goes backwards",
    "0 6 * * 5L": "the day of the week '5L'",
    "0 6 * * 1#2": "the day of the week '1#2'",
    "0 6 L * *": "the day of the month 'L'",
    "0 6 15W * *": "the day of the month '15W'",
    "0 6 * * monday": "the day of the week 'monday'",
    "H 6 * * *": "the minute 'H'",
    "0 6 */0 * *": "the step of '*/0'",
    "0 0 6 * * 1": "it has 6 fields",
    "@reboot": "'@reboot' is unknown",
    # Accepted by Argo's parser, with another meaning or none.
    "@every 1h": "@every counts from the start",
    "TZ=UTC 0 6 * * 1": "a time zone is not part of the expression",
    "CRON_TZ=UTC 0 6 * * 1": "a time zone is not part of the expression",
    ", 6 * * *": "',' has no minute",
    "*-5 6 * * *": "'*-5' is not a range",
    "+5 6 * * *": "the minute '+5'",
    # Numbers for Python's int, but not for Go's.
    "1_0 6 * * *": "the minute '1_0'",
    "٣ 6 * * *": "the minute '٣'",
    "*/99999999999999999999 6 * * *": "the step",
}
HINTS = {
    "0 6 * * 7": "0 is Sunday.",
    "0 24 * * *": "0 is midnight.",
    "0 6 * * sat-sun": "Write 'sat,sun'.",
    "0 6 * * FRI-MON": "Write 'fri-sat,sun-mon'.",
    "0 22-6 * * *": "Write '22-23,0-6'.",
    "0 6 * * 5L": "Argo has no L, W or #",
    "0 6 * * 1#2": "Argo has no L, W or #",
    "0 6 L * *": "Argo has no L, W or #",
    "0 6 * * monday": "Names have three letters: 'mon'.",
    "0 0 6 * * 1": "There is no field for seconds.",
    "TZ=UTC 0 6 * * 1": "Set schedule.timezone.",
    "@every 1h": "Use fields, such as '0 */6 * * *' for every six hours.",
    "@Daily": "in lower case",
    "*-5 6 * * *": "Write '*', or the first value instead of it.",
}
SCHEMA_PATTERN = ExperimentSpec.model_json_schema()["$defs"]["ScheduleConfig"]["properties"]["cron"]


@pytest.mark.parametrize("text", VALUES)
def test_values_of_a_field(text: str) -> None:
    number, values = VALUES[text]
    cron = parse_cron(text)
    found = (cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays)
    assert found[number] == values


def test_stars_and_descriptors_include_all_values() -> None:
    for text in ("* * * * *", "? ? ? ? ?", "*/1 0-23 1-31 jan-dec sun-sat", "0-59 */1 * * *"):
        cron = parse_cron(text)
        assert [cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays] == ALL
    assert parse_cron("@midnight") == parse_cron("@daily") == parse_cron("0 0 * * *")
    assert parse_cron("@annually") == parse_cron("@yearly") == parse_cron("0 0 1 1 *")


@pytest.mark.parametrize("text", INVALID)
def test_invalid_expression_is_refused(text: str) -> None:
    with pytest.raises(CronError) as caught:
        parse_cron(text)
    assert caught.value.reason.startswith(INVALID[text])
    assert "minute 0-59, hour 0-23, day of the month 1-31" in caught.value.hint


@pytest.mark.parametrize("text", HINTS)
def test_hint_names_what_to_write(text: str) -> None:
    with pytest.raises(CronError) as caught:
        parse_cron(text)
    assert HINTS[text] in caught.value.hint


@pytest.mark.parametrize("text", ["0 6 * * sat-sun", "0 6 * * FRI-MON", "0 22-6 * * *"])
def test_what_a_hint_suggests_is_valid(text: str) -> None:
    with pytest.raises(CronError) as caught:
        parse_cron(text)
    suggested = re.search(r"Write '(.*?)'", caught.value.hint)
    assert suggested
    wrong = next(token for token in text.split() if "-" in token)
    parse_cron(text.replace(wrong, suggested[1]))


@pytest.mark.parametrize(
    "text", ["0 6 31 2 *", "0 6 30 feb ?", "0 0 31 4,6,9,11 *", "0 0 30,31 2 */1"]
)
def test_date_that_never_comes(text: str) -> None:
    with pytest.raises(CronError, match="never comes"):
        parse_cron(text).check_comes()


@pytest.mark.parametrize(
    "text", ["0 6 29 2 *", "0 6 31 2 1", "0 6 31 2 */2", "0 6 30,31 2,4 *", "0 6 31 * *"]
)
def test_rare_date_comes(text: str) -> None:
    parse_cron(text).check_comes()


def test_names_become_numbers_for_argo() -> None:
    assert parse_cron(" 05 6 1,,15 JAN-mar/2 ?,Sun ").text == "5 6 1,15 1-3/2 ?,0"
    assert parse_cron("@weekly").text == "0 0 * * 0"


def test_editors_accept_what_is_valid() -> None:
    pattern = re.compile(SCHEMA_PATTERN["pattern"])
    assert [text for text in VALUES if not pattern.match(text)] == []
    refused = [
        "0 6 * * 1#2",
        "TZ=UTC 0 6 * * 1",
        "* * * *",
        "0 0 6 * * 1",
        "@every 1h",
        "+5 6 * * *",
    ]
    assert [text for text in refused if pattern.match(text)] == []


def test_a_name_belongs_to_its_field() -> None:
    assert WEEKDAY.number("Mon") == 1
    with pytest.raises(CronError):
        MINUTE.number("mon")
