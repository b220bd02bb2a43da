"""Check what users add: registries from an installation file, exemptions and rules."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.argo.cases import CASES
from tests.policy.mutations import mutated
from tests.policy.test_templates import SPLIT, valid_template
from tests.policy.tools import INSTALLATION, POLICY, ROOT, run, violations


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in a language."""
    text = (POLICY / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_installation_file_allows_its_registries() -> None:
    assert violations([valid_template()], INSTALLATION) == []
    reported = violations([valid_template()], ROOT / "manifests" / "installation.example.yaml")
    assert {violation.rule for violation in reported} == {"image-registry"}
    assert all("docker.io/acme/forest" in violation.message for violation in reported)


def test_readme_rule_works(tmp_path: Path) -> None:
    (source,) = blocks("rego")
    (tmp_path / "night.rego").write_text(source, encoding="utf-8")
    early = CASES["kind-cron-workflow"].golden()
    late = mutated(early, "spec.schedules[0]", "0 3 * * 1")
    assert violations([late], policies=[tmp_path]) == []
    (violation,) = violations([early], policies=[tmp_path])
    assert violation.message == (
        'CronWorkflow/refeed-demo/small: spec.schedules[0] is "0 6 * * 1", but by day nodes '
        "are reserved for interactive runs. Start before six. [schedule-at-night]"
    )


def test_readme_exemption_exempts_one_field(tmp_path: Path) -> None:
    (source,) = blocks("yaml")
    (tmp_path / "exemptions.yaml").write_text(source, encoding="utf-8")
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {
            "name": "argocd-application-controller",
            "labels": {"app.kubernetes.io/part-of": "argocd"},
        },
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}],
    }
    assert [each.rule for each in violations([role])] == ["rbac-no-wildcard"]
    assert violations([role], data=[tmp_path]) == []
    wider = mutated(role, "rules[0].resources", ["*"])
    assert [each.field for each in violations([wider], data=[tmp_path])] == ["rules[0].resources"]


@pytest.mark.parametrize("key", ["rule", "object", "field", "reason"])
def test_broad_exemption_is_rejected(tmp_path: Path, key: str) -> None:
    (source,) = blocks("yaml")
    exemptions = yaml.safe_load(source)
    (wide,) = exemptions["policy"]["exemptions"].values()
    wide[key] = "*"
    (tmp_path / "exemptions.yaml").write_text(json.dumps(exemptions), encoding="utf-8")
    (violation,) = violations([valid_template()], data=[tmp_path])
    assert violation.rule == "exemption-narrow"
    assert violation.field == f"policy.exemptions.argocd-controller-verbs.{key}"


def test_readme_shows_actual_message() -> None:
    (violation,) = violations(
        [mutated(valid_template(), f"{SPLIT}.container.image", "docker.io/refeed/split:latest")]
    )
    readme = " ".join((POLICY / "README.md").read_text(encoding="utf-8").split())
    assert violation.message in readme


def test_readme_commands_use_existing_files_and_flags() -> None:
    text = (POLICY / "README.md").read_text(encoding="utf-8")
    for file in re.findall(r"^\| `([a-z]+\.yaml)` \|", text, re.MULTILINE):
        assert (POLICY / "data" / file).is_file()
    result = run("conftest", "test", "--help")
    assert all(flag in result.stdout for flag in ("--policy", "--data"))
