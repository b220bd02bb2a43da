"""What a user adds: registries from an installation file, exemptions, rules of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.argo.cases import CASES
from tests.policy.mutations import broken
from tests.policy.test_templates import SPLIT, bounded
from tests.policy.tools import INSTALLATION, POLICY, ROOT, refusals, run


def blocks(language: str) -> list[str]:
    """The README's blocks of code."""
    text = (POLICY / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_images_come_from_where_the_installation_file_says() -> None:
    here = refusals([bounded()], INSTALLATION)
    assert here == []
    example = refusals([bounded()], ROOT / "manifests" / "installation.example.yaml")
    assert {found.rule for found in example} == {"image-registry"}
    assert all("docker.io/acme/forest" in found.message for found in example)


def test_the_rule_in_the_readme_works_beside_ours(tmp_path: Path) -> None:
    (source,) = blocks("rego")
    (tmp_path / "night.rego").write_text(source, encoding="utf-8")
    early = CASES["kind-cron-workflow"].golden()
    late = broken(early, "spec.schedules[0]", "0 3 * * 1")
    assert refusals([late], policies=[tmp_path]) == []
    (found,) = refusals([early], policies=[tmp_path])
    assert found.message == (
        'CronWorkflow/refeed-demo/small: spec.schedules[0] is "0 6 * * 1": by day nodes are for '
        "people who wait; start before six [schedule-at-night]"
    )


def test_the_exemption_in_the_readme_excuses_one_field(tmp_path: Path) -> None:
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
    assert [one.rule for one in refusals([role])] == ["rbac-no-wildcard"]
    assert refusals([role], data=[tmp_path]) == []
    wider = broken(role, "rules[0].resources", ["*"])
    assert [one.field for one in refusals([wider], data=[tmp_path])] == ["rules[0].resources"]


@pytest.mark.parametrize("key", ["rule", "object", "field", "reason"])
def test_an_exemption_that_is_not_narrow_is_refused(tmp_path: Path, key: str) -> None:
    (source,) = blocks("yaml")
    exemptions = yaml.safe_load(source)
    (wide,) = exemptions["policy"]["exemptions"].values()
    wide[key] = "*"
    (tmp_path / "exemptions.yaml").write_text(json.dumps(exemptions), encoding="utf-8")
    (found,) = refusals([bounded()], data=[tmp_path])
    assert found.rule == "exemption-narrow"
    assert found.field == f"policy.exemptions.argocd-controller-verbs.{key}"


def test_the_readmes_message_is_what_conftest_says() -> None:
    (found,) = refusals(
        [broken(bounded(), f"{SPLIT}.container.image", "docker.io/refeed/split:latest")]
    )
    readme = " ".join((POLICY / "README.md").read_text(encoding="utf-8").split())
    assert found.message in readme


def test_the_readmes_command_lines_name_what_is_there() -> None:
    text = (POLICY / "README.md").read_text(encoding="utf-8")
    for file in re.findall(r"^\| `([a-z]+\.yaml)` \|", text, re.MULTILINE):
        assert (POLICY / "data" / file).is_file()
    done = run("conftest", "test", "--help")
    assert all(flag in done.stdout for flag in ("--policy", "--data"))
