"""Argo CD brings the manifests of a Git repository to the cluster, and keeps projects apart."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from steps.storage.base import storage_for
from tests.e2e.kubectl import kubectl, needs_cluster, run_kubectl
from tests.e2e.platform import Platform, due_schedules, installation, wait_until
from tests.e2e.repository import Repository, repository
from tests.fakes import absent, make_bucket
from workflows.argo.project_folder import ProjectFolder, add, rendered, write
from workflows.installation.model import Installation

pytestmark = needs_cluster

SALES = "refeed-sales"
ROOT = "gs://refeed-sales"
OURS = ("boundary-sales", "project-sales")
ALL = ("refeed", "refeed-base", "boundary-demo", "boundary-lab", "project-demo", "project-lab")


def application(name: str) -> dict[str, Any]:
    found = kubectl("-n", "argocd", "get", "application", name, "--output", "json")
    return json.loads(found.out) if found.code == 0 else {}


def state(name: str) -> tuple[str, str]:
    """Return sync and health status of an Application."""
    status = application(name).get("status", {})
    return status.get("sync", {}).get("status", ""), status.get("health", {}).get("status", "")


def settled(*names: str) -> None:
    for name in names:
        wait_until(f"{name} as Git says", lambda n=name: state(n) == ("Synced", "Healthy"), 180)


def get(kind: str, name: str, namespace: str) -> dict[str, Any]:
    """An object; empty where there is none."""
    found = kubectl("-n", namespace, "get", kind, name, "--output", "json")
    return json.loads(found.out) if found.code == 0 else {}


@pytest.fixture(scope="module")
def argocd() -> None:
    if kubectl("get", "crd", "applicationsets.argoproj.io").code:
        absent("the cluster has no Argo CD")


@pytest.fixture(scope="module")
def git(
    argocd: None, projects: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Repository]:
    """Register the repository in Argo CD with the command of docs/platform/install.md."""
    _forget()
    made = repository(tmp_path_factory.mktemp("git"))
    run_kubectl("apply", "-k", str(made.overlay / "argocd"))
    settled(*ALL)
    yield made
    _forget()


def _forget() -> None:
    """Take Argo CD's own objects away, and leave in place what it has made."""
    for kind in ("applicationsets", "applications"):
        names = kubectl("-n", "argocd", "get", kind, "--output", "name").out.split()
        for name in names:  # without its finalizer nothing is removed with it
            patch = '{"metadata": {"finalizers": null}}'
            kubectl("-n", "argocd", "patch", name, "--type=merge", "--patch", patch)
        if names:
            kubectl("-n", "argocd", "delete", *names, "--ignore-not-found", "--cascade=orphan")
    kubectl("delete", "namespace", SALES, "--ignore-not-found")


@pytest.fixture(scope="module")
def sales(git: Repository, endpoint: str) -> ProjectFolder:
    """Add a project as one more folder in Git."""
    make_bucket(endpoint, "refeed-sales")
    storage_for(ROOT).write(f"{ROOT}/kept", b"what was there before")
    folder = ProjectFolder(git.overlay, "sales")
    add(folder, offered(endpoint))
    spec_of(git, rows=100)
    write(folder.path, rendered(folder, offered(endpoint)))
    git.push("A project: sales")
    settled(*OURS)
    return folder


def offered(endpoint: str) -> Installation:
    made = installation(endpoint)
    made["projects"]["sales"] = {"namespace": SALES, "root": ROOT}
    return Installation.model_validate(made)


def spec_of(git: Repository, rows: int) -> Path:
    """Return the flights example as a spec of the project."""
    spec = yaml.safe_load((Path("examples") / "flights" / "spec.yaml").read_text())
    spec |= {"name": "flights", "project": "sales", "output": ROOT}
    spec["dataset"]["source"] = f"{ROOT}/sources/flights.parquet"
    spec["explain"]["rows"] = rows
    path = git.overlay / "projects" / "sales" / "experiments" / "flights.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def test_the_overlay_is_synced_and_healthy(git: Repository) -> None:
    assert {name: state(name) for name in ALL} == dict.fromkeys(ALL, ("Synced", "Healthy"))
    template = get("workflowtemplate", "flights-arrival-delay", "refeed-demo")
    assert template["metadata"]["labels"]["refeed/project"] == "demo"
    bounds = get("appproject", "refeed-demo", "argocd")["spec"]
    assert bounds["sourceRepos"] == [git.url]
    assert [each["namespace"] for each in bounds["destinations"]] == ["refeed-demo"]


@pytest.mark.parametrize(
    ("kind", "name", "patch", "path"),
    [
        ("resourcequota", "refeed-project", {"spec": {"hard": {"pods": "999"}}}, "spec"),
        ("networkpolicy", "refeed-deny-all", {"spec": {"policyTypes": ["Ingress"]}}, "spec"),
        ("rolebinding", "refeed-executor", {"subjects": []}, "subjects"),
    ],
)
def test_manual_changes_are_reverted(
    kind: str, name: str, patch: dict[str, Any], path: str, sales: ProjectFolder
) -> None:
    before = get(kind, name, SALES)[path]
    run_kubectl("-n", SALES, "patch", kind, name, "--type=merge", "--patch", json.dumps(patch))
    wait_until("it as before", lambda: get(kind, name, SALES).get(path) == before, 60)


def test_project_created_from_git_runs_an_experiment(
    sales: ProjectFolder, platform: Platform, flights: Path
) -> None:
    """Start a run from the deployed template, as Argo's UI does."""
    storage_for(ROOT).write(f"{ROOT}/sources/flights.parquet", flights.read_bytes())
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "by-hand", "namespace": SALES},
        "spec": {"workflowTemplateRef": {"name": "flights"}},
    }
    run_kubectl("create", "-f", "-", stdin=workflow)

    def phase() -> str:
        status = get("workflow", "by-hand", SALES).get("status", {})
        return str(status.get("phase", "")).replace("Pending", "").replace("Running", "")

    assert wait_until("its end", phase, 480) == "Succeeded"
    (run,) = storage_for(ROOT).names(f"{ROOT}/sales/runs/flights")
    folder = f"{ROOT}/sales/runs/flights/{run}"
    here = platform.refeed(
        *("run", sales.specs[0], "--json", "--set", f"dataset.source={flights}"),
        *("--set", f"output={platform.folder / 'sales'}"),
    )
    assert here.code == 0, here.err
    assert platform.tables(folder) == platform.tables(here.json["folder"])
    assert storage_for(ROOT).exists(f"{folder}/report.html")


def test_changed_spec_updates_the_template(
    git: Repository, sales: ProjectFolder, endpoint: str
) -> None:
    before = get("workflowtemplate", "flights", SALES)["metadata"]["labels"]["refeed/spec"]
    spec_of(git, rows=77)
    write(sales.path, rendered(sales, offered(endpoint)))
    git.push("Flights: fewer rows")

    def arrived() -> bool:
        template = get("workflowtemplate", "flights", SALES)
        return bool(template["metadata"]["labels"]["refeed/spec"] != before)

    wait_until("the changed template", arrived, 120)


def sales_spec(name: str, **schedule: Any) -> str:
    """Return a spec of the project with a schedule."""
    spec = yaml.safe_load((Path("examples") / "flights" / "spec.yaml").read_text())
    spec |= {"name": name, "project": "sales", "output": ROOT, "schedule": schedule}
    spec["dataset"]["source"] = f"{ROOT}/sources/flights.parquet"
    return yaml.safe_dump(spec, sort_keys=False)


MONDAYS = [f"monday{number}" for number in range(6)]
"""Without its wave, about half of them came before their templates and were ignored."""


@pytest.fixture(scope="module")
def mondays(git: Repository, sales: ProjectFolder, endpoint: str) -> list[str]:
    """Add experiments with a schedule, suspended, to the project's folder in Git."""
    for name in MONDAYS:
        spec = sales_spec(name, cron="* * * * *", suspended=True)
        (sales.path / "experiments" / f"{name}-sales.yaml").write_text(spec)
    write(sales.path, rendered(sales, offered(endpoint)))
    git.push("Schedules")
    wait_until("them", lambda: all(get("cronworkflow", each, SALES) for each in MONDAYS), 120)
    return MONDAYS


def test_schedules_from_git_are_accepted(mondays: list[str]) -> None:
    wait_until("all of them", lambda: set(mondays) <= due_schedules(SALES), 150)


def test_submit_leaves_what_git_owns_alone_and_says_so(
    mondays: list[str], platform: Platform, endpoint: str, tmp_path: Path
) -> None:
    name = mondays[0]
    spec, installed = tmp_path / "mine.yaml", tmp_path / "installation.yaml"
    spec.write_text(sales_spec(name, cron="0 9 * * fri"))
    made = offered(endpoint).model_dump(mode="json", exclude_none=True)
    installed.write_text(yaml.safe_dump(made, sort_keys=False))

    def versions() -> list[str]:
        kinds = ("workflowtemplate", "cronworkflow")
        specs = [get(kind, name, SALES)["spec"] for kind in kinds]
        return [json.dumps(each, sort_keys=True) for each in specs]

    before = versions()
    for server in ("kubernetes", *(["argo"] if "ARGO_SERVER" in os.environ else [])):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REFEED_CLUSTER", server)
            submitted = platform.refeed(
                *("submit", spec, "--no-wait", "--json", "--installation", installed)
            )
        assert submitted.code == 0, submitted.err
        assert submitted.json["git_owner"] == "project-sales"
        assert f"{name} is owned by Git (Argo CD application project-sales)" in submitted.err
        assert f"change experiments/{name}-sales.yaml" in submitted.err
        assert versions() == before
        workflow = submitted.json["workflow"]
        assert get("workflow", workflow, SALES)["metadata"]["labels"]["refeed/experiment"] == name
        run_kubectl("-n", SALES, "delete", "workflow", workflow)


FOREIGN: dict[str, dict[str, Any]] = {
    "namespace": {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "intruder", "namespace": "refeed-lab"},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]},
    },
    "clusterrole": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "intruder"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
    },
    "rolebinding": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "intruder", "namespace": SALES},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "refeed-train", "namespace": SALES}],
    },
}


@pytest.mark.parametrize("what", FOREIGN)
def test_project_folder_with_foreign_objects_is_rejected(
    what: str, git: Repository, sales: ProjectFolder
) -> None:
    """Another namespace, something of the whole cluster, a right: whatever its analysts merge."""
    workflows = sales.path / "workflows"
    own = (workflows / "kustomization.yaml").read_text()
    (workflows / "intruder.yaml").write_text(yaml.safe_dump(FOREIGN[what]))
    changed = yaml.safe_load(own)
    changed["resources"].append("intruder.yaml")
    changed.pop("namespace")  # which would put the object where it belongs
    (workflows / "kustomization.yaml").write_text(yaml.safe_dump(changed))
    git.push(f"An intruder: {what}")

    def refusal() -> str:
        operation = application("project-sales").get("status", {}).get("operationState", {})
        output = json.dumps(operation)
        return output if "is not permitted in project" in output else ""

    wait_until("the refusal", refusal, 120)
    kind, namespace = FOREIGN[what]["kind"], FOREIGN[what]["metadata"].get("namespace", SALES)
    assert get(kind, "intruder", namespace) == {}
    (workflows / "intruder.yaml").unlink()
    (workflows / "kustomization.yaml").write_text(own)
    git.push("Without it")
    settled("project-sales")


def test_removed_project_is_pruned_and_its_data_stay(git: Repository, sales: ProjectFolder) -> None:
    shutil.rmtree(sales.path)
    git.push("No more sales")
    wait_until("the end of both", lambda: not any(application(name) for name in OURS), 180)
    for kind in ("workflowtemplates", "serviceaccounts", "rolebindings", "configmaps"):
        names = run_kubectl("-n", SALES, "get", kind, "--output", "name").split()
        assert not [name for name in names if "refeed" in name or "flights" in name], kind
    assert get("appproject", "refeed-sales", "argocd") == {}
    assert len(json.loads(run_kubectl("-n", SALES, "get", "workflows", "-o", "json"))["items"]) == 1
    assert storage_for(ROOT).read(f"{ROOT}/kept") == b"what was there before"
    settled("boundary-demo", "project-demo")
