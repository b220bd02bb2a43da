"""Properties of every compiled template, read from the golden files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from steps.contract import BASE_OUTPUT, shards_output
from tests.argo.cases import CASES, Case, installation
from workflows.argo.experiment import EXECUTOR, PROJECT_MAP
from workflows.argo.expressions import LATE, REFUSALS
from workflows.argo.pod_patch import larger
from workflows.installation.resource_classes import ResourceClass

WITH_TEMPLATES = [case for case in CASES.values() if case.kind != "cron-workflow"]
every_template = pytest.mark.parametrize("case", WITH_TEMPLATES, ids=lambda case: case.name)


def templates(case: Case) -> Iterator[dict[str, Any]]:
    """Yield the templates with a container."""
    template = [each for each in case.golden()["spec"]["templates"] if "container" in each]
    assert len(template) >= 5
    yield from template


def template(case: Case, name: str) -> dict[str, Any]:
    return next(each for each in case.golden()["spec"]["templates"] if each["name"] == name)


def tasks(case: Case) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in template(case, "experiment")["dag"]["tasks"]}


def fans(case: Case) -> dict[str, dict[str, Any]]:
    return {name: task for name, task in tasks(case).items() if "withParam" in task}


def variables(template: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in template["container"]["env"]}


@every_template
def test_pod_runs_unprivileged_without_token(case: Case) -> None:
    spec = case.golden()["spec"]
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["runAsGroup"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["executor"] == {"serviceAccountName": EXECUTOR}
    for template in templates(case):
        assert "securityContext" not in template  # which would replace the pods' own
        assert "automountServiceAccountToken" not in template


@every_template
def test_container_writes_to_tmp_only_without_privileges(case: Case) -> None:
    for template in templates(case):
        container = template["container"]
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context.keys() == {
            "allowPrivilegeEscalation",
            "readOnlyRootFilesystem",
            "capabilities",
        }
        assert container["volumeMounts"] == [{"mountPath": "/tmp", "name": "tmp"}]
        size = container["resources"]["limits"]["ephemeral-storage"]
        assert template["volumes"] == [{"emptyDir": {"sizeLimit": size}, "name": "tmp"}]


@every_template
def test_a_container_has_requests_and_equal_limits(case: Case) -> None:
    for template in templates(case):
        resources = template["container"]["resources"]
        on_gpu = template["name"].startswith("train-gpu")
        others = {"nvidia.com/gpu"} if on_gpu else set()
        assert resources["requests"].keys() == {"cpu", "memory", "ephemeral-storage"} | others
        assert resources["requests"] == resources["limits"]


@every_template
def test_step_has_its_own_service_account(case: Case) -> None:
    assert case.golden()["spec"]["serviceAccountName"] == "refeed-train"
    for template in templates(case):
        step = template["metadata"]["labels"]["refeed/step"]
        expected = {"check": "train", "base": "train", "finish": "collect"}.get(step, step)
        assert template["serviceAccountName"] == f"refeed-{expected}"


@every_template
def test_retried_exit_codes_exclude_invalid_data(case: Case) -> None:
    for template in templates(case):
        strategy = template["retryStrategy"]
        assert strategy["retryPolicy"] == "Always"  # narrowed by the expression alone
        expression, late, refused = strategy["expression"].split(" && !")
        assert late == f"(lastRetry.message contains '{LATE}')"
        listed = re.fullmatch(r"lastRetry\.exitCode in \[(.*)\]", expression)
        assert listed
        assert re.fullmatch(
            r"\(lastRetry\.message matches '[^']*' && asInt\(retries\) \+ 1 >= 10\)", refused
        )
        codes = [code.strip(" '") for code in listed[1].split(",")]
        assert {"70", "75", "137", "143", "101", "102"} <= set(codes)
        assert not {"0", "1", "2", "3", "65", "66", "69", "73", "77"} & set(codes)
        assert strategy["limit"] <= 200


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ('admission webhook "deny.example.com" denied the request: no team', True),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', True),
        ("pods \"x\" is forbidden: ValidatingAdmissionPolicy 't' denied request: no team", True),
        ('Pod "x" is invalid: spec.containers[0].resources.requests: Invalid value', True),
        ("pod deleted", False),
        ("OOMKilled (exit code 137)", False),
        ("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ", False),
        ('failed calling webhook "deny.example.com": connection refused', False),
    ],
)
def test_only_a_refused_pod_has_fewer_attempts(message: str, refused: bool) -> None:
    assert bool(re.search(REFUSALS, message)) is refused


@every_template
def test_only_short_steps_have_a_deadline_of_their_own(case: Case) -> None:
    for template in templates(case):
        step = template["metadata"]["labels"]["refeed/step"]
        expected = 1800 if step in {"check", "finish"} else None
        assert template.get("activeDeadlineSeconds") == expected


@every_template
def test_run_has_deadline_and_cleanup(case: Case) -> None:
    spec = case.golden()["spec"]
    deadline, ttl = (5400, 172_800) if case.name == "limits" else (86_400, 604_800)
    assert spec["activeDeadlineSeconds"] == deadline
    assert spec["ttlStrategy"] == {"secondsAfterCompletion": ttl}
    assert spec["podGC"] == {"deleteDelayDuration": "600s", "strategy": "OnPodCompletion"}


@every_template
def test_images_are_pinned_and_pulled_once(case: Case) -> None:
    known = installation().model_dump_json()
    for template in templates(case):
        image = template["container"]["image"]
        named = re.findall(r"docker\.io/[^\s']+", image)
        assert named or image == "{{inputs.parameters.trainer-image}}"
        for each in named:
            assert f'"{each}"' in known
            assert ":" in each
            assert not each.endswith(":latest")
        assert template["container"]["imagePullPolicy"] == "IfNotPresent"


@every_template
def test_check_runs_in_image_of_the_form_trainer(case: Case) -> None:
    own = {"trainer-custom": "acme/forest@", "example-penguins": "refeed/linear:"}
    image = template(case, "check")["container"]["image"]
    if case.name == "trainer-gpu":  # the only trainer that runs in these classes
        assert image == installation().trainers["deep"].image
        return
    *others, last = image.removeprefix("{{= ").removesuffix(" }}").split(" : ")
    assert own.get(case.name, "refeed/lightgbm:") in last
    assert len(others) == len(installation().interchangeable("lightgbm")) - 1 == 2
    for each in others:
        condition, value = each.split(" ? ")
        name = re.fullmatch(r"workflow\.parameters\.trainer == '(\w+)'", condition)
        assert name
        assert value == f"'{installation().trainers[name[1]].image}'"


def test_trainer_with_classes_runs_in_them_only() -> None:
    """Its form offers no trainer of other classes, and no other step runs there."""
    case = CASES["trainer-gpu"]
    assert fans(case).keys() == {"train-gpu", "train-gpu-large"}
    (choice,) = (
        each
        for each in case.golden()["spec"]["arguments"]["parameters"]
        if each["name"] == "trainer"
    )
    assert choice["enum"] == ["deep"]
    for each in templates(case):
        on_gpu = each["name"].startswith("train-gpu")
        assert ("nvidia.com/gpu" in each["container"]["resources"]["limits"]) == on_gpu
        tolerated = {taint["key"] for taint in each.get("tolerations", [])}
        assert ("nvidia.com/gpu" in tolerated) == on_gpu
        assert "gpu" not in each.get("podSpecPatch", "") or on_gpu
    assert '"nvidia.com/gpu": "2"' in template(case, "train-gpu")["podSpecPatch"]
    assert "podSpecPatch" not in template(case, "train-gpu-large")


def test_patch_removes_resources_that_the_larger_class_lacks() -> None:
    own = ResourceClass(cpu="4", memory="8Gi", resources={"nvidia.com/gpu": 1}).with_name("gpu")
    patch = larger([own, ResourceClass.named("large", cpu="8", memory="64Gi")])
    assert '"requests": {"nvidia.com/gpu": null, "cpu": "8"' in patch


@every_template
def test_fan_out_uses_an_output_of_split(case: Case) -> None:
    written = {each["name"] for each in template(case, "split")["outputs"]["parameters"]}
    fan_outs = fans(case)
    assert fan_outs
    read = {
        name: re.fullmatch(r"\{\{tasks\.split\.outputs\.parameters\.(.+)\}\}", task["withParam"])
        for name, task in fan_outs.items()
    }
    assert {match[1] for match in read.values() if match} == written - {BASE_OUTPUT}
    shards = {shards_output(name.removeprefix("train-")) for name in fan_outs}
    assert written - {BASE_OUTPUT} == shards
    for name, task in fan_outs.items():
        assert task["template"] == name
        assert task["depends"].split(" && ")[0] == "split.Succeeded"


@every_template
def test_collect_runs_after_every_fan_out(case: Case) -> None:
    depends = tasks(case)["collect"]["depends"]
    assert depends.startswith("split.Succeeded && ")
    for name in fans(case):
        for end in ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned"):
            assert re.search(rf"[( ]{name}\.{end}[ )]", depends)
    assert template(case, "experiment")["dag"]["failFast"] is False
    assert template(case, "experiment")["failFast"] is False


@every_template
def test_task_inputs_and_outputs_match(case: Case) -> None:
    for name, task in tasks(case).items():
        expected = {
            each["name"]
            for each in template(case, task["template"]).get("inputs", {}).get("parameters", [])
        }
        given = {
            each["name"]: each["value"] for each in task.get("arguments", {}).get("parameters", [])
        }
        assert given.keys() == expected, name
        for value in given.values():
            source = re.fullmatch(r"\{\{tasks\.([\w-]+)\.outputs\.parameters\.([\w-]+)\}\}", value)
            if source:
                outputs = template(case, source[1])["outputs"]["parameters"]
                assert source[2] in {each["name"] for each in outputs}


@every_template
def test_project_comes_from_the_namespace(case: Case) -> None:
    for template in templates(case):
        env = variables(template)
        for name, key in (("REFEED_PROJECT", "project"), ("REFEED_ROOT", "root")):
            reference = env[name]["valueFrom"]["configMapKeyRef"]
            assert reference == {"key": key, "name": PROJECT_MAP}
        assert "optional" not in str(env["REFEED_PROJECT"])
        names = [each["name"] for each in template["container"]["env"]]
        assert len(names) == len(set(names))


@every_template
def test_exit_code_selects_larger_class_without_old_labels(case: Case) -> None:
    for template in templates(case):
        own = template.get("nodeSelector", {})
        steps = int(variables(template)["REFEED_LARGEST_CLASS_OFFSET"]["value"])
        text = template.get("podSpecPatch", "")
        patches = re.findall(r"exitCode == '10(\d)' \? '(.*?)' :", text)
        assert [int(step) for step, _ in patches] == list(range(1, steps + 1))
        memory = [template["container"]["resources"]["limits"]["memory"]]
        for step, raw in patches:
            patch = json.loads(raw)
            main = patch["containers"][0]
            assert main["name"] == "main"
            assert main["resources"]["limits"] == main["resources"]["requests"]
            memory.append(main["resources"]["limits"]["memory"])
            environment = {each["name"]: each["value"] for each in main["env"]}
            assert environment["REFEED_CLASS_OFFSET"] == step
            size = installation().classes[environment["REFEED_CLASS"]]
            assert size.memory == memory[-1]
            # Kubernetes merges the labels one by one: what is not wanted any more is null.
            merged = {k: v for k, v in {**own, **patch["nodeSelector"]}.items() if v is not None}
            spot = size.spot if "cloud.google.com/gke-spot" in own else None
            assert merged == size.node_selector | (spot.node_selector if spot else {})
        assert memory == sorted(memory, key=lambda text: int(text.removesuffix("Gi")))


def test_spot_nodes_require_spot_in_spec() -> None:
    label = "cloud.google.com/gke-spot"
    for name, expected in (("plain", True), ("spot-off", False)):
        for size in ("small", "medium"):
            training = template(CASES[name], f"train-{size}")
            assert (label in training["nodeSelector"]) is expected
            keys = {each["key"] for each in training.get("tolerations", [])}
            assert (label in keys) is expected
        for step in ("check", "split", "collect", "finish", "train-large"):
            assert label not in str(template(CASES[name], step).get("nodeSelector"))


def test_classes_of_a_spec_are_used_in_the_order_of_their_memory() -> None:
    assert list(fans(CASES["classes-subset"])) == ["train-small", "train-large"]
    assert list(fans(CASES["class-single"])) == ["train-medium"]
    assert "podSpecPatch" not in template(CASES["class-single"], "train-medium")
    assert list(fans(CASES["plain"])) == ["train-small", "train-medium", "train-large"]


@every_template
def test_exit_handler_pod_runs_only_if_failed_or_late(case: Case) -> None:
    assert case.golden()["spec"]["onExit"] == "exit"
    (task,) = template(case, "exit")["dag"]["tasks"]
    assert task["template"] == "finish"
    late = "" if case.name == "notify-absent" else " || {{workflow.duration}} > 21600"
    assert task["when"] == "{{workflow.status}} != Succeeded" + late


@every_template
def test_only_finish_has_the_webhook(case: Case) -> None:
    for template in templates(case):
        webhook = variables(template).get("REFEED_WEBHOOK")
        if template["name"] == "finish" and case.name != "notify-absent":
            assert webhook
            reference = webhook["valueFrom"]["secretKeyRef"]
            assert reference == {"key": "url", "name": "refeed-notify", "optional": True}
        else:
            assert webhook is None


def test_own_models_are_trained_when_the_base_models_are_fitted_or_not_needed() -> None:
    case = CASES["base-compare"]
    named, base = tasks(case), template(case, "base")
    assert named["base"]["depends"] == "split.Succeeded"
    assert named["base"]["when"] == "{{tasks.split.outputs.parameters.base}} == true"
    for fan in fans(case).values():
        assert fan["depends"] == "split.Succeeded && (base.Succeeded || base.Skipped)"
    outputs = {each["name"] for each in template(case, "split")["outputs"]["parameters"]}
    assert "base" in outputs
    assert base["container"]["image"] == "{{inputs.parameters.trainer-image}}"
    assert "base" not in tasks(CASES["plain"])
