"""Read the IAM grants from a plan and from the table in the security page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from tests.terraform.plans import Plan
from tests.terraform.tools import ROOT, JsonObject

SECURITY = ROOT / "docs" / "platform" / "security.md"
PAGE = SECURITY.relative_to(ROOT)
_RESOURCE_NAMES: dict[str, Callable[[JsonObject], str]] = {
    "google_storage_bucket_iam_member": lambda resource: f"bucket {resource['bucket']}",
    "google_bigquery_dataset_iam_member": lambda resource: (
        f"dataset {resource['project']}.{resource['dataset_id']}"
    ),
    "google_project_iam_member": lambda resource: f"project {resource['project']}",
    "google_service_account_iam_member": lambda resource: (
        f"account {_short(resource['service_account_id'].rpartition('/')[2])}"
    ),
    "google_artifact_registry_repository_iam_member": lambda resource: (
        f"repository {resource['repository']}"
    ),
}
"""The grant types that the table covers, with the name of their resource."""
_GRANT_TYPES = re.compile(
    r"_iam_|_acl$|_access_control$|_dataset_access$|_billing_account_iam|_policy_data"
)
"""Matches all resource types that grant access."""


@dataclass(frozen=True, order=True)
class Grant:
    """One role of one identity on one resource.

    Attributes:
        who: the name of an account of the project, or an IAM member.
        role: the role, without `roles/`.
        on: the type and name of the resource.
        condition: the title of the condition; empty for none.
    """

    who: str
    role: str
    on: str
    condition: str = ""

    def __str__(self) -> str:
        limited = f", only {self.condition}" if self.condition else ""
        return f"{self.who} has {self.role} on {self.on}{limited}"


@dataclass(frozen=True)
class Row:
    """A row of the table: a grant and the options that it needs."""

    grant: Grant
    needs: frozenset[str]


def planned_grants(plan: Plan) -> list[Grant]:
    """Return all grants of a plan, including duplicates.

    Raises:
        AssertionError: if the plan has a grant type that the table does not cover.
    """
    types = {kind for kind in plan.types if _GRANT_TYPES.search(kind)}
    unknown = sorted(types - _RESOURCE_NAMES.keys())
    assert not unknown, f"the table does not cover {unknown}"
    return sorted(
        _grant(resource, _RESOURCE_NAMES[kind]) for kind in types for resource in plan.all(kind)
    )


def planned_conditions(plan: Plan) -> dict[str, str]:
    """Return the expressions of all conditions by title, each on one line."""
    return {
        each["title"]: " ".join(each["expression"].split())
        for kind in _RESOURCE_NAMES
        for resource in plan.all(kind)
        for each in resource["condition"]
    }


def _grant(resource: JsonObject, on: Callable[[JsonObject], str]) -> Grant:
    titles = [each["title"] for each in resource["condition"]]
    role = resource["role"].removeprefix("roles/")
    return Grant(_short(resource["member"]), role, on(resource), "".join(titles))


def _short(member: str) -> str:
    return re.sub(
        r"^(?:serviceAccount:)?([^@]+)@my-project\.iam\.gserviceaccount\.com$", r"\1", member
    )


@cache
def table_rows() -> list[Row]:
    """Return the rows of the table in order."""
    table = SECURITY.read_text(encoding="utf-8").partition("<!-- grants -->")[2]
    lines = table.partition("<!-- end -->")[0].strip().splitlines()[2:]
    assert len(lines) > 10, f"{PAGE} has no table of grants"
    cells = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines
    ]
    return [
        Row(Grant(who, role, on, condition), frozenset(needs.split()))
        for who, role, on, condition, needs, _reason in cells
    ]


def documented_grants(*options: str) -> list[Grant]:
    """Return the grants that the table lists for these options."""
    return sorted(row.grant for row in table_rows() if row.needs <= {*options})


def documented_conditions() -> dict[str, str]:
    """Return the condition expressions of the security page by title."""
    text = SECURITY.read_text(encoding="utf-8")
    return {
        title: " ".join(expression.split())
        for title, expression in re.findall(r"(?m)^`([\w-]+)`:\n\n((?:    .*\n)+)", text)
    }


def differences(plan: Iterable[Grant], table: Iterable[Grant]) -> list[str]:
    """Return a sentence for each grant that only one of the two has."""
    planned, documented = set(plan), set(table)
    return [
        *(f"{PAGE} does not list: {each}" for each in sorted(planned - documented)),
        *(f"the plan does not contain: {each}" for each in sorted(documented - planned)),
    ]
