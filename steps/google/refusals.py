"""Refusals of Google's services that no role on the requested resource would solve.

Each kind is recognized by Google's own codes: the ``reason`` of a REST error, the ``reason`` of a
``google.rpc.ErrorInfo``, or the type of a violation. Where Google sends a code that several
refusals share, such as ``accessDenied``, its text decides. The texts are in this table and in the
tables of the services, each with the page that has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.api_core.exceptions import GoogleAPICallError


@dataclass(frozen=True)
class Refusal:
    """One kind of refusal, with its remedy.

    Attributes:
        kind: its name; the documentation has a line of this name.
        source: the page with its codes and text.
        remedy: what to do. Names in braces are filled in: groups of ``text``, and the names that
            the service's translator knows.
        codes: Google's codes for this refusal and no other.
        text: text by which it is recognized if Google's code is not specific, or that has the names
            for the remedy.
    """

    kind: str
    source: str
    remedy: str
    codes: frozenset[str] = frozenset()
    text: re.Pattern[str] | None = None

    def matches(self, error: GoogleAPICallError) -> bool:
        """Return True if an error response is of this kind."""
        return bool(self.codes & codes_of(error)) or self._match(error) is not None

    def hint(self, error: GoogleAPICallError, names: Mapping[str, str]) -> str:
        """Return what to do about an error response of this kind.

        Args:
            error: the error response.
            names: names for the remedy; those in the error's text take precedence.
        """
        match = self._match(error)
        found = {key: value for key, value in (match.groupdict() if match else {}).items() if value}
        return self.remedy.format_map({**names, **found})

    def _match(self, error: GoogleAPICallError) -> re.Match[str] | None:
        return self.text.search(message_of(error)) if self.text is not None else None


def codes_of(error: GoogleAPICallError) -> frozenset[str]:
    """Return all codes of an error response: reasons, and types of violations."""
    return frozenset(filter(None, _codes(error)))


def _codes(error: GoogleAPICallError) -> Iterator[str]:
    body = _body(error)
    for entry in [*error.errors, *body.get("errors", ())]:
        yield entry.get("reason", "") if isinstance(entry, dict) else ""
    yield error.reason or ""
    for detail in [*error.details, *body.get("details", ())]:
        yield _value(detail, "reason", "")
        for violation in _value(detail, "violations", ()):
            yield _value(violation, "type", "")


def _value(message: Any, name: str, default: Any) -> Any:  # noqa: ANN401 - JSON or protobuf
    """Return a field of a message that is JSON (REST) or a protobuf message (gRPC)."""
    if isinstance(message, dict):
        return message.get(name, default)
    return getattr(message, name, default)


def message_of(error: GoogleAPICallError) -> str:
    """Return Google's sentence, without the request and the rest of the body."""
    return str(_body(error).get("message") or error.message)


def _body(error: GoogleAPICallError) -> dict[str, Any]:
    """Return ``error`` of a JSON body, which Cloud Storage's client leaves in the response."""
    try:
        body = error.response.json()["error"]
    except (AttributeError, ValueError, KeyError, TypeError, RuntimeError):
        return {}
    return body if isinstance(body, dict) else {}


COMMON = (
    Refusal(
        "VPC Service Controls",
        "https://cloud.google.com/vpc-service-controls/docs/retrieve-troubleshoot-errors",
        "The request crosses a service perimeter of your organization, so no role helps. Ask the "
        "administrators of the perimeter for an ingress or egress rule for the caller. They find "
        "the request in the audit logs by its time and by the unique identifier in the message.",
        frozenset({"vpcServiceControls", "SECURITY_POLICY_VIOLATED", "VPC_SERVICE_CONTROLS"}),
        re.compile("VPC Service Controls|Request is prohibited by organization's policy"),
    ),
    Refusal(
        "billing",
        "https://cloud.google.com/storage/docs/json_api/v1/status-codes#403-forbidden",
        "The project that owns the data, or the one that is billed, has no open billing account. "
        "See which: `gcloud billing projects describe PROJECT`; link one: `gcloud billing projects "
        "link PROJECT --billing-account=...`",
        frozenset({"accountDisabled", "billingNotEnabled", "BILLING_DISABLED"}),
        re.compile("billing account .*is disabled"),
    ),
    Refusal(
        "quota project",
        "https://cloud.google.com/docs/quotas/set-quota-project",
        "The caller needs roles/serviceusage.serviceUsageConsumer on the project {project}: "
        "`gcloud projects add-iam-policy-binding {project} "
        "--role=roles/serviceusage.serviceUsageConsumer --member=...`",
        frozenset({"USER_PROJECT_DENIED"}),
        re.compile(r"required permission to use project (?P<project>[\w:-]+(\.[\w:-]+)*)"),
    ),
    Refusal(
        "access scopes",
        "https://cloud.google.com/compute/docs/access/service-accounts#accesscopesiam",
        "The credentials are valid, but limited to other services by their access scopes, so no "
        "role helps. In a cluster give the pod's service account workload identity. On a "
        "workstation run `gcloud auth application-default login` again.",
        frozenset({"ACCESS_TOKEN_SCOPE_INSUFFICIENT"}),
        re.compile(r"insufficient authentication scopes|scope\(s\) are not authorized"),
    ),
    Refusal(
        "quota",
        "https://cloud.google.com/bigquery/docs/troubleshoot-quotas",
        "A quota of the project {billing} is exhausted. Most quotas renew within a day: run again "
        "then, or ask for more at https://console.cloud.google.com/iam-admin/quotas.",
        frozenset({"quotaExceeded", "RESOURCE_QUOTA_EXCEEDED"}),
        re.compile("[Qq]uota exceeded|exceeded (the |a |its )?(custom )?quota"),
    ),
)
"""Refusals of every service."""
