"""Refeed reads expressions as robfig/cron v3.0.1 does, which Argo 4.0 uses."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from tests.schedule.expressions import Case, recorded
from workflows.spec.schedule.cron import Cron, CronError, parse_cron
from workflows.spec.schedule.next_run import next_run
from workflows.spec.schedule.time_zones import time_zone

CASES = recorded()
CRD_PATTERN = re.compile(
    r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every\s+([0-9]+(ns|us|µs|ms|s|m|h))"
    r"+|([0-9*,/?-]+\s+){4}[0-9*,/?-]+)$"
)
"""Pattern of ``spec.schedules`` in Argo's custom resource definition: Argo 4.0.2,
manifests/base/crds/full/argoproj.io_cronworkflows.yaml."""
REFUSED_BY_REFEED = (
    re.compile(r"@every "),  # counts from the start of the controller
    re.compile(r"(.*\s)?,+(\s.*)?"),  # a list without a value
    re.compile(r"(.*[\s,])?[*?]-.*"),  # read as * alone
    re.compile(r".*[+].*"),  # not allowed by CRD_PATTERN
)
"""Expressions that the parser accepts and Refeed does not: see ``workflows.spec.schedule.cron``."""


def parsed(text: str) -> Cron | None:
    try:
        return parse_cron(text)
    except CronError:
        return None


def due(case: Case, cron: Cron) -> list[int]:
    zone, moment = time_zone(case.zone), datetime.fromtimestamp(case.after, UTC)
    found: list[int] = []
    while len(found) < case.count:
        run = next_run(cron, zone, moment)
        if run is None:
            break
        moment = run
        found.append(int(run.timestamp()))
    return found


def test_recorded_cases_are_of_all_kinds() -> None:
    assert sum(bool(case.error) for case in CASES) > 200
    assert sum(bool(case.runs) for case in CASES) > 500
    assert sum(not case.error and not case.runs for case in CASES) > 5


def test_everything_that_argo_refuses_is_refused() -> None:
    assert [case for case in CASES if case.error and parsed(case.cron)] == []


def test_everything_that_argo_accepts_is_accepted_with_known_exceptions() -> None:
    refused = [case.cron for case in CASES if not case.error and not parsed(case.cron)]
    assert refused
    for cron in refused:
        assert any(each.match(cron) for each in REFUSED_BY_REFEED), cron


def test_runs_are_at_the_same_times() -> None:
    valid = [(case, cron) for case in CASES if (cron := parsed(case.cron))]
    assert [case for case, cron in valid if due(case, cron) != case.runs] == []


def test_date_never_comes_where_argo_finds_none() -> None:
    for case in CASES:
        cron = parsed(case.cron)
        if cron is None:
            continue
        if case.runs:
            cron.check_comes()
        else:
            with pytest.raises(CronError, match="never comes"):
                cron.check_comes()


def test_text_for_argo_has_the_same_meaning_and_fits_its_definition() -> None:
    valid = [cron for case in CASES if (cron := parsed(case.cron))]
    assert [cron for cron in valid if parsed(cron.text) != cron] == []
    assert [cron.text for cron in valid if not CRD_PATTERN.match(cron.text)] == []
