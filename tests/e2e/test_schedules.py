"""Refeed's verdict on a schedule is that of the API server and of Argo's controller.

Argo's controller reports a schedule that it refuses in its log only. So each CronWorkflow of this
test has two schedules: every minute, and the one to try. The controller refuses both or none, and
notes the first run of a CronWorkflow in an annotation, even if it is suspended and nothing starts.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.kubectl import kubectl, needs_cluster, run_kubectl
from tests.e2e.partitions import healthy, table_of
from tests.e2e.platform import NAMESPACE, Platform, due_schedules, wait_until, workflows_of
from tests.schedule.expressions import expression
from tests.schedule.test_cron import INVALID, VALUES
from tests.schedule.test_robfig import REFUSED_BY_REFEED
from tests.schedule.test_time_zones import ADVICE
from workflows.spec.schedule.cron import CronError, parse_cron
from workflows.spec.schedule.time_zones import plain_name

pytestmark = needs_cluster

PLACE = "trial-schedules"
EVERY_MINUTE = "* * * * *"
ZONES = (
    *("UTC", "Europe/Paris", "America/Argentina/Buenos_Aires", "Asia/Kolkata", "Etc/GMT-2"),
    # Names that some images of Argo lack: argo-workflows #15653.
    *("CET", "EST", "US/Pacific", "Asia/Calcutta", "GMT"),
)
OTHER_FILES = ("Local", "posix/Europe/Paris")
"""Names that Go finds on some machines, and Refeed refuses."""
RANDOM_EXPRESSIONS = 200


def refused_by_refeed(text: str) -> bool:
    try:
        parse_cron(text)
    except CronError:
        return True
    return False


def expressions() -> list[str]:
    rng = random.Random(7)
    found = [*VALUES, *INVALID]
    found += [expression(rng, wrong=number % 2 == 0) for number in range(RANDOM_EXPRESSIONS)]
    # A panic in the parser would end the controller where the API server has no pattern for it.
    return sorted(text for text in set(found) if not re.fullmatch(r"(CRON_)?TZ=\S*", text))


def cron_workflow(name: str, schedules: list[str], zone: str) -> dict[str, Any]:
    work = {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": name, "namespace": PLACE},
        "spec": {"schedules": schedules, "timezone": zone, "suspend": True, "workflowSpec": work},
    }


@pytest.fixture(scope="module")
def accepted(endpoint: str) -> Iterator[dict[tuple[str, str], bool]]:
    """Try all schedules at once; return by expression and zone whether Argo accepts them."""
    texts = expressions()
    tried = [(text if refused_by_refeed(text) else parse_cron(text).text, "UTC") for text in texts]
    tried += [(EVERY_MINUTE, plain_name(zone)) for zone in ZONES]
    tried += [("0 6 * * *", zone) for zone in ADVICE if zone]
    tried = list(dict.fromkeys(tried))
    if not kubectl("get", "namespace", PLACE).ok:
        run_kubectl("create", "namespace", PLACE)
    objects = [
        cron_workflow(f"trial-{number}", [EVERY_MINUTE, text], zone)
        for number, (text, zone) in enumerate(tried)
    ]
    kubectl("create", "--validate=false", "-f", "-", stdin=objects)  # some are refused here
    sentinel = cron_workflow("sentinel", [EVERY_MINUTE], "UTC")
    run_kubectl("create", "-f", "-", stdin=sentinel)
    wait_until("a minute that all have seen", lambda: "sentinel" in due_schedules(PLACE), 150)
    time.sleep(30)  # for the others of the same minute
    names = due_schedules(PLACE)
    yield {each: f"trial-{number}" in names for number, each in enumerate(tried)}
    run_kubectl("delete", "namespace", PLACE)


def test_argo_accepts_what_refeed_writes(accepted: dict[tuple[str, str], bool]) -> None:
    valid = [text for text in expressions() if not refused_by_refeed(text)]
    assert len(valid) > 100
    assert [text for text in valid if not accepted[parse_cron(text).text, "UTC"]] == []


def test_argo_refuses_what_refeed_refuses(accepted: dict[tuple[str, str], bool]) -> None:
    """Except for expressions that never run or do not mean what they seem to."""
    refused = [text for text in expressions() if refused_by_refeed(text)]
    assert len(refused) > 50
    more = [text for text in refused if accepted[text, "UTC"]]
    assert [text for text in more if not any(each.match(text) for each in REFUSED_BY_REFEED)] == []


@pytest.mark.parametrize("zone", ZONES)
def test_argo_knows_the_time_zone(zone: str, accepted: dict[tuple[str, str], bool]) -> None:
    assert accepted[EVERY_MINUTE, plain_name(zone)]


@pytest.mark.parametrize("zone", sorted(set(ADVICE) - {"", *OTHER_FILES}))
def test_argo_does_not_know_the_time_zone(zone: str, accepted: dict[tuple[str, str], bool]) -> None:
    assert not accepted["0 6 * * *", zone]


def test_schedule_of_a_new_experiment_is_accepted(platform: Platform, name: str) -> None:
    """Although its template is as new as the schedule."""
    source = platform.source(table_of(healthy(2)), name)
    names = [f"{name}-{number}" for number in range(3)]
    schedule = {"cron": EVERY_MINUTE, "suspended": True}
    try:
        for each in names:
            platform.start_run(platform.spec(each, source, schedule=schedule))
            kubectl("-n", NAMESPACE, "delete", "workflows", *workflows_of(each))
        wait_until("their schedules", lambda: set(names) <= due_schedules(NAMESPACE), 150)
    finally:
        kubectl("-n", NAMESPACE, "delete", "cronworkflows", *names)
