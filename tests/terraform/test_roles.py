"""The roles in a plan are exactly those in the table of docs/platform/security.md."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest

from tests.terraform.grants import (
    Grant,
    conditions,
    differences,
    planned,
    told,
    told_conditions,
    told_for,
)
from tests.terraform.plans import Plan

OF_THE_EXAMPLE = ("analysts", "dataflow", "source_datasets")
"""Switches of the table that terraform.tfvars.example has on."""
SWITCHES = {*OF_THE_EXAMPLE, "image_pushers", "source_buckets", "uploads"}
WITHOUT_DATA = {
    "bigquery.jobUser",
    "bigquery.readSessionUser",
    "container.clusterViewer",
    "container.defaultNodeServiceAccount",
    "dataflow.developer",
}
"""Roles that hold for a whole Google Cloud project, since they give no data."""


def renamed(grant: Grant, old: str, new: str) -> Grant:
    who, on = grant.who.replace(old, new), grant.on.replace(old, new)
    return replace(grant, who=who, on=on, condition=grant.condition.replace(old, new))


def test_the_plan_of_the_example_gives_what_the_table_tells(example: Plan) -> None:
    assert differences(planned(example), told_for(*OF_THE_EXAMPLE)) == []


def test_with_everything_on_the_plan_gives_the_whole_table(full: Plan) -> None:
    given = [each for each in planned(full) if "lab" not in f"{each}"]
    assert differences(given, told_for(*SWITCHES)) == []
    assert {switch for row in told() for switch in row.needs} == SWITCHES


def test_a_project_with_nothing_on_has_the_rows_that_need_nothing(full: Plan) -> None:
    given = [each for each in planned(full) if "lab" in f"{each}"]
    written = [renamed(each, "demo", "lab") for each in told_for() if "demo" in f"{each}"]
    assert differences(given, written) == []
    assert len(given) > 10


def test_nobody_gets_anything_twice(full: Plan) -> None:
    given = planned(full)
    assert len(set(given)) == len(given) > len(told())
    assert len(set(told())) == len(told())


def test_the_page_gives_each_condition_as_it_is(full: Plan) -> None:
    of_demo = {title: text for title, text in conditions(full).items() if "lab" not in title}
    assert told_conditions() == of_demo


def test_a_role_on_everything_gives_no_data(full: Plan) -> None:
    everywhere = [each for each in planned(full) if each.on.startswith("project ")]
    assert {each.role for each in everywhere if not each.condition} == WITHOUT_DATA


def test_no_identity_of_a_project_has_anything_of_another(full: Plan) -> None:
    for own, other in (("demo", "lab"), ("lab", "demo")):
        mine = [each for each in planned(full) if f"refeed-{own}" in each.who]
        assert len(mine) > 8
        assert [each for each in mine if other in f"{each.on} {each.condition}"] == []


def test_only_the_pod_of_a_step_acts_as_its_account(full: Plan) -> None:
    acting = [each for each in planned(full) if each.role == "iam.workloadIdentityUser"]
    pods = {each.who.rpartition("[")[2].rstrip("]"): each.on for each in acting}
    steps = ("split", "train", "collect")
    assert pods == {"argo/argo-server": "account refeed-platform"} | {
        f"refeed-{project}/refeed-{step}": f"account refeed-{project}-{step}"
        for project in ("demo", "lab")
        for step in steps
    }


def test_whoever_is_given_a_role_is_made_here_or_named_by_the_user(full: Plan) -> None:
    made = {each["account_id"] for each in full.all("google_service_account")}
    named = {"group:ci@example.com", "group:refeed-demo@example.com"}
    others = {each.who for each in planned(full)} - made - named
    assert all(".svc.id.goog[" in each for each in others)
    assert made <= {each.who for each in planned(full)}


def test_a_role_that_the_table_lacks_is_named(example: Plan) -> None:
    more = Grant("refeed-demo-train", "storage.admin", "bucket my-project-refeed-demo")
    table = told_for(*OF_THE_EXAMPLE)
    assert differences([*planned(example), more], table) == [
        "docs/platform/security.md does not tell that refeed-demo-train has storage.admin on "
        "bucket my-project-refeed-demo"
    ]
    (said,) = differences(planned(example)[1:], table)
    assert said.startswith("the plan does not give what docs/platform/security.md tells: ")


@pytest.mark.parametrize("kind", ["google_storage_bucket_acl", "google_project_iam_binding"])
def test_a_right_that_is_given_otherwise_is_refused(example: Plan, kind: str) -> None:
    raw = deepcopy(example.raw)
    raw["resource_changes"][0]["type"] = kind
    with pytest.raises(AssertionError, match=kind):
        planned(Plan(raw))
