"""Compiled templates pass every rule, and with one field broken the rule for it refuses them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.argo.cases import CASES
from tests.policy.mutations import ABSENT, Broken, broken
from tests.policy.tools import refusals

GAPS: dict[str, str] = {}
"""Rules that compiled templates do not follow yet, and what is missing."""

SPLIT = "spec.templates[split]"
TRAIN = "spec.templates[train-small]"
CHECK = "spec.templates[check]"
SECURITY = f"{TRAIN}.container.securityContext"

BROKEN_TEMPLATES = [
    Broken("image-known", f"{TRAIN}.container.image", "{{workflow.parameters.image}}", "write the"),
    Broken("image-pinned", f"{SPLIT}.container.image", "docker.io/refeed/split", "give it a tag"),
    Broken(
        "image-pinned",
        f"{CHECK}.container.image",
        "{{= workflow.parameters.trainer == 'a' ? 'docker.io/refeed/a' : 'docker.io/refeed/b:1' }}",
        "give it a tag",
    ),
    Broken("image-registry", f"{SPLIT}.container.image", "docker.io/evil/split:1", "push it there"),
    Broken(
        "image-registry",
        f"{TRAIN}.container.env[REFEED_PLATFORM].value",
        '{"trainers": {"linear": "evil.example.com/linear:1"}}',
        "push it there",
        field=f"{TRAIN}.container.env[REFEED_PLATFORM].trainers.linear",
    ),
    Broken("resources-set", f"{TRAIN}.container.resources.limits.memory", ABSENT, "set it"),
    Broken("resources-set", f"{SPLIT}.container.resources.requests.cpu", ABSENT, "set it"),
    Broken(
        "run-as-non-root",
        "spec.securityContext.runAsNonRoot",
        ABSENT,
        "here or in spec.securityContext",
        field=f"{SECURITY}.runAsNonRoot",
    ),
    Broken("run-as-non-root", f"{SECURITY}.runAsUser", 0, "name another user"),
    Broken(
        "seccomp-default",
        "spec.securityContext.seccompProfile.type",
        "Unconfined",
        "here or in spec.securityContext",
        field=f"{SECURITY}.seccompProfile.type",
    ),
    Broken("read-only-root", f"{SECURITY}.readOnlyRootFilesystem", False, "mount an emptyDir"),
    Broken("no-privilege-escalation", f"{SECURITY}.allowPrivilegeEscalation", ABSENT, "to false"),
    Broken("not-privileged", f"{SECURITY}.privileged", True, "leave it out"),
    Broken("capabilities-dropped", f"{SECURITY}.capabilities.drop", ["NET_RAW"], "to [ALL]"),
    Broken("capabilities-dropped", f"{SECURITY}.capabilities.add", ["SYS_ADMIN"], "leave it out"),
    Broken(
        "no-host-path",
        f"{SPLIT}.volumes[tmp]",
        {"name": "tmp", "hostPath": {"path": "/"}},
        "use an emptyDir",
        field=f"{SPLIT}.volumes[tmp].hostPath",
    ),
    Broken("no-host-namespace", "spec.hostNetwork", True, "leave it out"),
    Broken(
        "no-host-port",
        f"{TRAIN}.container.ports",
        [{"containerPort": 80, "hostPort": 80}],
        "use a Service",
        field=f"{TRAIN}.container.ports[0].hostPort",
    ),
    Broken("account-named", f"{SPLIT}.serviceAccountName", "default", "name the step's own"),
    Broken("workflow-without-token", "spec.automountServiceAccountToken", ABSENT, "to false"),
    Broken("workflow-without-token", f"{TRAIN}.automountServiceAccountToken", True, "leave it out"),
    Broken("executor-account", "spec.executor.serviceAccountName", ABSENT, "name the executor's"),
    Broken("run-deadline", "spec.activeDeadlineSeconds", ABSENT, "execution.deadline"),
    Broken("run-deadline", "spec.activeDeadlineSeconds", 10**7, "from 1 to 604800"),
    Broken("run-ttl", "spec.ttlStrategy.secondsAfterCompletion", 10**8, "execution.ttl"),
    Broken("pod-gc", "spec.podGC", ABSENT, "set it", field="spec.podGC.strategy"),
    Broken(
        "fan-out-bounded",
        "spec.parallelism",
        ABSENT,
        "set spec.parallelism",
        field="spec.templates[experiment].dag.tasks[train-small].withParam",
    ),
    Broken("retries-bounded", f"{TRAIN}.retryStrategy.limit", ABSENT, "from 0 to 200"),
    Broken("retries-wait", f"{TRAIN}.retryStrategy.backoff.duration", ABSENT, "with a factor"),
    Broken("patch-known", f"{TRAIN}.podSpecPatch", "{{inputs.parameters.shard}}", "write JSON"),
    Broken("patch-narrow", "spec.podSpecPatch", '{"hostPID": true}', "changes hostPID"),
    Broken(
        "patch-narrow",
        f"{TRAIN}.podSpecPatch",
        "{{= lastRetry.exitCode == '101' ? '{\"containers\": [{\"image\": \"a\"}]}' : '{}' }}",
        "changes containers.image",
    ),
    Broken("spot-tolerated", f"{TRAIN}.tolerations", [], "effect: NoSchedule"),
    Broken(
        "spot-tolerated",
        f"{TRAIN}.podSpecPatch",
        "{{= lastRetry.exitCode == '101' ? '{\"tolerations\": []}' : '{}' }}",
        "effect: NoSchedule",
        field=f"{TRAIN}.podSpecPatch.tolerations",
    ),
    Broken("label-part-of", "metadata.labels[app.kubernetes.io/part-of]", ABSENT, "set it"),
    Broken("label-experiment", "metadata.labels[refeed/project]", ABSENT, "compile the spec again"),
    Broken(
        "label-experiment",
        "spec.workflowMetadata.labels[refeed/spec]",
        ABSENT,
        "compile the spec again",
    ),
    Broken("label-step", f"{TRAIN}.metadata.labels[refeed/class]", ABSENT, "set it"),
]


def bounded() -> dict[str, Any]:
    """A compiled template without its gaps."""
    return broken(CASES["plain"].golden(), "spec.parallelism", 500)


def test_a_compiled_template_without_its_gaps_is_accepted() -> None:
    assert refusals([bounded()]) == []


def test_compiled_templates_are_accepted() -> None:
    found = refusals(case.golden() for case in CASES.values())
    assert [one for one in found if one.rule not in GAPS] == []
    closed = set(GAPS) - {one.rule for one in found}
    assert not closed, "compiled templates follow these by now: take them out of GAPS"


@pytest.mark.parametrize("row", BROKEN_TEMPLATES, ids=str)
def test_a_broken_field_is_refused(row: Broken) -> None:
    found = refusals([broken(bounded(), row.path, row.value)])
    assert row.seen_in(found, "WorkflowTemplate/refeed-demo/small"), found
    assert {one.rule for one in found} == {row.rule}


def test_a_cron_workflow_that_holds_its_spec_is_judged_like_any_other() -> None:
    cron = broken(CASES["kind-cron-workflow"].golden(), "spec.workflowSpec", bounded()["spec"])
    assert refusals([cron]) == []
    found = refusals([broken(cron, "spec.workflowSpec.activeDeadlineSeconds", ABSENT)])
    assert [one.field for one in found] == ["spec.workflowSpec.activeDeadlineSeconds"]
