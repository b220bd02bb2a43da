"""Check compiled templates: they pass every rule, and a changed field violates its rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests.argo.cases import CASES
from tests.policy.mutations import REMOVED, Mutation, mutated
from tests.policy.tools import violations

KNOWN_VIOLATIONS: dict[str, str] = {}
"""Rules that compiled templates do not pass yet, with the reason."""

SPLIT = "spec.templates[split]"
TRAIN = "spec.templates[train-small]"
CHECK = "spec.templates[check]"
SECURITY = f"{TRAIN}.container.securityContext"

TEMPLATE_MUTATIONS = [
    Mutation(
        "image-known", f"{TRAIN}.container.image", "{{workflow.parameters.image}}", "Write the"
    ),
    Mutation("image-pinned", f"{SPLIT}.container.image", "docker.io/refeed/split", "Set a tag"),
    Mutation(
        "image-pinned",
        f"{CHECK}.container.image",
        "{{= workflow.parameters.trainer == 'a' ? 'docker.io/refeed/a' : 'docker.io/refeed/b:1' }}",
        "Set a tag",
    ),
    Mutation(
        "image-registry",
        f"{SPLIT}.container.image",
        "docker.io/evil/split:1",
        "Push the image there",
    ),
    Mutation(
        "image-registry",
        f"{TRAIN}.container.env[REFEED_PLATFORM].value",
        '{"trainers": {"linear": "evil.example.com/linear:1"}}',
        "Push the image there",
        field=f"{TRAIN}.container.env[REFEED_PLATFORM].trainers.linear",
    ),
    Mutation("resources-set", f"{TRAIN}.container.resources.limits.memory", REMOVED, "Set it"),
    Mutation("resources-set", f"{SPLIT}.container.resources.requests.cpu", REMOVED, "Set it"),
    Mutation(
        "run-as-non-root",
        "spec.securityContext.runAsNonRoot",
        REMOVED,
        "here or in spec.securityContext",
        field=f"{SECURITY}.runAsNonRoot",
    ),
    Mutation("run-as-non-root", f"{SECURITY}.runAsUser", 0, "Set another user"),
    Mutation(
        "seccomp-default",
        "spec.securityContext.seccompProfile.type",
        "Unconfined",
        "here or in spec.securityContext",
        field=f"{SECURITY}.seccompProfile.type",
    ),
    Mutation("read-only-root", f"{SECURITY}.readOnlyRootFilesystem", False, "mount an emptyDir"),
    Mutation(
        "no-privilege-escalation", f"{SECURITY}.allowPrivilegeEscalation", REMOVED, "to false"
    ),
    Mutation("not-privileged", f"{SECURITY}.privileged", True, "Remove it"),
    Mutation("capabilities-dropped", f"{SECURITY}.capabilities.drop", ["NET_RAW"], "to [ALL]"),
    Mutation("capabilities-dropped", f"{SECURITY}.capabilities.add", ["SYS_ADMIN"], "Remove it"),
    Mutation(
        "no-host-path",
        f"{SPLIT}.volumes[tmp]",
        {"name": "tmp", "hostPath": {"path": "/"}},
        "Use an emptyDir",
        field=f"{SPLIT}.volumes[tmp].hostPath",
    ),
    Mutation("no-host-namespace", "spec.hostNetwork", True, "Remove it"),
    Mutation(
        "no-host-port",
        f"{TRAIN}.container.ports",
        [{"containerPort": 80, "hostPort": 80}],
        "Use a Service",
        field=f"{TRAIN}.container.ports[0].hostPort",
    ),
    Mutation(
        "disk-set",
        f"{SPLIT}.container.resources.limits.ephemeral-storage",
        REMOVED,
        "fill its node's disk",
    ),
    Mutation(
        "disk-set",
        f"{SPLIT}.volumes[tmp]",
        {"name": "tmp", "emptyDir": {}},
        "fill its node's disk",
        field=f"{SPLIT}.volumes[tmp].emptyDir.sizeLimit",
    ),
    Mutation("account-named", f"{SPLIT}.serviceAccountName", "default", "Set the step's own"),
    Mutation("workflow-without-token", "spec.automountServiceAccountToken", REMOVED, "to false"),
    Mutation("workflow-without-token", f"{TRAIN}.automountServiceAccountToken", True, "Remove it"),
    Mutation("executor-account", "spec.executor.serviceAccountName", REMOVED, "Set the executor's"),
    Mutation("run-deadline", "spec.activeDeadlineSeconds", REMOVED, "execution.deadline"),
    Mutation("run-deadline", "spec.activeDeadlineSeconds", 10**7, "from 1 to 604800"),
    Mutation("run-ttl", "spec.ttlStrategy.secondsAfterCompletion", 10**8, "execution.ttl"),
    Mutation("pod-gc", "spec.podGC", REMOVED, "Set it", field="spec.podGC.strategy"),
    Mutation(
        "fan-out-bounded",
        "spec.parallelism",
        REMOVED,
        "Set spec.parallelism",
        field="spec.templates[experiment].dag.tasks[train-small].withParam",
    ),
    Mutation("retries-bounded", f"{TRAIN}.retryStrategy.limit", REMOVED, "from 0 to 200"),
    Mutation("retries-wait", f"{TRAIN}.retryStrategy.backoff.duration", REMOVED, "with a factor"),
    Mutation("patch-known", f"{TRAIN}.podSpecPatch", "{{inputs.parameters.shard}}", "Write JSON"),
    Mutation("patch-narrow", "spec.podSpecPatch", '{"hostPID": true}', "changes hostPID"),
    Mutation(
        "patch-narrow",
        f"{TRAIN}.podSpecPatch",
        "{{= lastRetry.exitCode == '101' ? '{\"containers\": [{\"image\": \"a\"}]}' : '{}' }}",
        "changes containers.image",
    ),
    Mutation("spot-tolerated", f"{TRAIN}.tolerations", [], "effect: NoSchedule"),
    Mutation(
        "spot-tolerated",
        f"{TRAIN}.podSpecPatch",
        "{{= lastRetry.exitCode == '101' ? '{\"tolerations\": []}' : '{}' }}",
        "effect: NoSchedule",
        field=f"{TRAIN}.podSpecPatch.tolerations",
    ),
    Mutation(
        "gpu-tolerated",
        f"{TRAIN}.container.resources.limits[nvidia.com/gpu]",
        "1",
        "operator: Exists",
        field=f"{TRAIN}.tolerations",
    ),
    Mutation("label-part-of", "metadata.labels[app.kubernetes.io/part-of]", REMOVED, "Set it"),
    Mutation(
        "label-experiment", "metadata.labels[refeed/project]", REMOVED, "compile the spec again"
    ),
    Mutation(
        "label-experiment",
        "spec.workflowMetadata.labels[refeed/spec]",
        REMOVED,
        "compile the spec again",
    ),
    Mutation("label-step", f"{TRAIN}.metadata.labels[refeed/class]", REMOVED, "Set it"),
]


def valid_template() -> dict[str, Any]:
    """Return a compiled template that passes every rule."""
    return mutated(CASES["plain"].golden(), "spec.parallelism", 500)


def test_valid_template_passes() -> None:
    assert violations([valid_template()]) == []


def test_compiled_templates_pass() -> None:
    reported = violations(case.golden() for case in CASES.values())
    assert [each for each in reported if each.rule not in KNOWN_VIOLATIONS] == []
    fixed = set(KNOWN_VIOLATIONS) - {each.rule for each in reported}
    assert not fixed, "compiled templates pass these rules: remove them from KNOWN_VIOLATIONS"


@pytest.mark.parametrize("mutation", TEMPLATE_MUTATIONS, ids=str)
def test_changed_field_violates_its_rule(mutation: Mutation) -> None:
    reported = violations([mutated(valid_template(), mutation.path, mutation.value)])
    assert mutation.is_reported(reported, "WorkflowTemplate/refeed-demo/small"), reported
    assert {each.rule for each in reported} == {mutation.rule}


def test_inline_spec_of_cron_workflow_is_checked() -> None:
    cron = mutated(
        CASES["kind-cron-workflow"].golden(), "spec.workflowSpec", valid_template()["spec"]
    )
    assert violations([cron]) == []
    reported = violations([mutated(cron, "spec.workflowSpec.activeDeadlineSeconds", REMOVED)])
    assert [each.field for each in reported] == ["spec.workflowSpec.activeDeadlineSeconds"]
