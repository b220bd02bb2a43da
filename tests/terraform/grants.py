"""Who may do what: as a plan gives it, and as docs/platform/security.md tells it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from tests.terraform.plans import Plan
from tests.terraform.tools import ROOT, Found

SECURITY = ROOT / "docs" / "platform" / "security.md"
_ON: dict[str, Callable[[Found], str]] = {
    "google_storage_bucket_iam_member": lambda found: f"bucket {found['bucket']}",
    "google_bigquery_dataset_iam_member": lambda found: (
        f"dataset {found['project']}.{found['dataset_id']}"
    ),
    "google_project_iam_member": lambda found: f"project {found['project']}",
    "google_service_account_iam_member": lambda found: (
        f"account {_short(found['service_account_id'].rpartition('/')[2])}"
    ),
    "google_artifact_registry_repository_iam_member": lambda found: (
        f"repository {found['repository']}"
    ),
}
"""Each kind of grant that the table knows, and how it names the resource."""
_GIVES = re.compile(
    r"_iam_|_acl$|_access_control$|_dataset_access$|_billing_account_iam|_policy_data"
)
"""Types of resources that give somebody a right."""


@dataclass(frozen=True, order=True)
class Grant:
    """One role of one identity on one resource.

    Attributes:
        who: an account by what is before its @, or a member as IAM writes it.
        role: without `roles/`.
        on: kind and name of the resource.
        condition: its title; empty for none.
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
    """A line of the table: a grant, and what it hangs on."""

    grant: Grant
    needs: frozenset[str]


def planned(plan: Plan) -> list[Grant]:
    """Every grant of a plan; more than one where somebody gets the same twice.

    Raises:
        AssertionError: something gives a right in a way that the table does not know.
    """
    giving = {kind for kind in plan.types if _GIVES.search(kind)}
    assert giving <= _ON.keys(), f"the table does not know {sorted(giving - _ON.keys())}"
    return sorted(_grant(found, _ON[kind]) for kind in giving for found in plan.all(kind))


def conditions(plan: Plan) -> dict[str, str]:
    """The expressions of all conditions by their titles, on one line each."""
    return {
        each["title"]: " ".join(each["expression"].split())
        for kind in _ON
        for found in plan.all(kind)
        for each in found["condition"]
    }


def _grant(found: Found, on: Callable[[Found], str]) -> Grant:
    titles = [each["title"] for each in found["condition"]]
    role = found["role"].removeprefix("roles/")
    return Grant(_short(found["member"]), role, on(found), "".join(titles))


def _short(member: str) -> str:
    return re.sub(
        r"^(?:serviceAccount:)?([^@]+)@my-project\.iam\.gserviceaccount\.com$", r"\1", member
    )


@cache
def told() -> list[Row]:
    """The table's lines, in their order."""
    table = SECURITY.read_text(encoding="utf-8").partition("<!-- grants -->")[2]
    lines = table.partition("<!-- end -->")[0].strip().splitlines()[2:]
    assert len(lines) > 10, "docs/platform/security.md has no table of grants"
    cells = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines
    ]
    return [
        Row(Grant(who, role, on, condition), frozenset(needs.split()))
        for who, role, on, condition, needs, _reason in cells
    ]


def told_for(*switched_on: str) -> list[Grant]:
    """The grants that the table tells of where these switches are on."""
    return sorted(row.grant for row in told() if row.needs <= {*switched_on})


def told_conditions() -> dict[str, str]:
    """The expressions that the page gives, by title."""
    text = SECURITY.read_text(encoding="utf-8")
    return {
        title: " ".join(expression.split())
        for title, expression in re.findall(r"(?m)^`([\w-]+)`:\n\n((?:    .*\n)+)", text)
    }


def differences(plan: Iterable[Grant], table: Iterable[Grant]) -> list[str]:
    """What one says and the other does not, in words."""
    given, written = set(plan), set(table)
    return [
        *(
            f"docs/platform/security.md does not tell that {each}"
            for each in sorted(given - written)
        ),
        *(
            f"the plan does not give what docs/platform/security.md tells: {each}"
            for each in sorted(written - given)
        ),
    ]
