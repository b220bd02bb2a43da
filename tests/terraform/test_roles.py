"""Check that the grants of a plan equal the table in the security page."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest

from tests.terraform.grants import (
    PAGE,
    Grant,
    differences,
    documented_conditions,
    documented_grants,
    planned_conditions,
    planned_grants,
    table_rows,
)
from tests.terraform.plans import Plan

EXAMPLE_OPTIONS = ("analysts", "dataflow", "source_datasets")
"""The options of the table that terraform.tfvars.example sets."""
ALL_OPTIONS = {*EXAMPLE_OPTIONS, "image_pushers", "source_buckets", "uploads"}
ROLES_WITHOUT_DATA = {
    "bigquery.jobUser",
    "bigquery.readSessionUser",
    "container.clusterViewer",
    "container.defaultNodeServiceAccount",
    "dataflow.developer",
}
"""Roles granted on the whole Google Cloud project, since they give no access to data."""


def renamed(grant: Grant, old: str, new: str) -> Grant:
    who, on = grant.who.replace(old, new), grant.on.replace(old, new)
    return replace(grant, who=who, on=on, condition=grant.condition.replace(old, new))


def test_example_grants_match_table(example: Plan) -> None:
    assert differences(planned_grants(example), documented_grants(*EXAMPLE_OPTIONS)) == []


def test_all_options_grant_whole_table(full: Plan) -> None:
    given = [each for each in planned_grants(full) if "lab" not in f"{each}"]
    assert differences(given, documented_grants(*ALL_OPTIONS)) == []
    assert {option for row in table_rows() for option in row.needs} == ALL_OPTIONS


def test_project_without_options_has_rows_without_needs(full: Plan) -> None:
    given = [each for each in planned_grants(full) if "lab" in f"{each}"]
    written = [renamed(each, "demo", "lab") for each in documented_grants() if "demo" in f"{each}"]
    assert differences(given, written) == []
    assert len(given) > 10


def test_grants_are_unique(full: Plan) -> None:
    given = planned_grants(full)
    assert len(set(given)) == len(given) > len(table_rows())
    assert len(set(table_rows())) == len(table_rows())


def test_page_shows_actual_conditions(full: Plan) -> None:
    conditions = {
        title: text for title, text in planned_conditions(full).items() if "lab" not in title
    }
    assert documented_conditions() == conditions


def test_project_wide_roles_give_no_data(full: Plan) -> None:
    everywhere = [each for each in planned_grants(full) if each.on.startswith("project ")]
    assert {each.role for each in everywhere if not each.condition} == ROLES_WITHOUT_DATA


def test_identities_have_no_access_to_other_projects(full: Plan) -> None:
    for own, other in (("demo", "lab"), ("lab", "demo")):
        grants = [each for each in planned_grants(full) if f"refeed-{own}" in each.who]
        assert len(grants) > 8
        assert [each for each in grants if other in f"{each.on} {each.condition}"] == []


def test_only_step_pods_act_as_step_accounts(full: Plan) -> None:
    bindings = [each for each in planned_grants(full) if each.role == "iam.workloadIdentityUser"]
    pods = {each.who.rpartition("[")[2].rstrip("]"): each.on for each in bindings}
    steps = ("split", "train", "collect")
    assert pods == {"argo/argo-server": "account refeed-platform"} | {
        f"refeed-{project}/refeed-{step}": f"account refeed-{project}-{step}"
        for project in ("demo", "lab")
        for step in steps
    }


def test_members_are_created_or_named_by_the_user(full: Plan) -> None:
    created = {each["account_id"] for each in full.all("google_service_account")}
    named = {"group:ci@example.com", "group:refeed-demo@example.com"}
    others = {each.who for each in planned_grants(full)} - created - named
    assert all(".svc.id.goog[" in each for each in others)
    assert created <= {each.who for each in planned_grants(full)}


def test_differences_name_the_grant(example: Plan) -> None:
    extra = Grant("refeed-demo-train", "storage.admin", "bucket my-project-refeed-demo")
    table = documented_grants(*EXAMPLE_OPTIONS)
    assert differences([*planned_grants(example), extra], table) == [
        f"{PAGE} does not list: refeed-demo-train has storage.admin on bucket "
        "my-project-refeed-demo"
    ]
    (message,) = differences(planned_grants(example)[1:], table)
    assert message.startswith("the plan does not contain: ")


@pytest.mark.parametrize("kind", ["google_storage_bucket_acl", "google_project_iam_binding"])
def test_unknown_grant_type_is_rejected(example: Plan, kind: str) -> None:
    raw = deepcopy(example.raw)
    raw["resource_changes"][0]["type"] = kind
    with pytest.raises(AssertionError, match=kind):
        planned_grants(Plan(raw))
