"""The commands in the README run as written, except the one that needs a Terraform plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.laptop import Session
from tests.docs.markdown import commands
from tests.docs.test_documented_commands import execute
from tests.policy.test_extensions import blocks
from tests.policy.tools import POLICY, tool

SETUP = (
    "cp manifests/installation.example.yaml installation.yaml",
    "cp examples/flights/spec.yaml spec.yaml",
    "sed -i -e 's|^  source: .*|  source: gs://my-project-refeed-demo/flights.parquet|' spec.yaml",
    "sed -i -e 's|^output: .*|output: gs://my-project-refeed-demo|' spec.yaml",
    "refeed compile spec.yaml --installation installation.yaml -o template.yaml",
)


@pytest.mark.slow
def test_commands_of_the_readme_run(tmp_path: Path) -> None:
    assert len([each for each in commands(POLICY / "README.md") if each.executed]) == 5
    for name in ("conftest", "kustomize"):
        tool(name)
    session = Session(tmp_path)
    (rule,) = blocks("rego")
    (tmp_path / "night.rego").write_text(rule, encoding="utf-8")
    own = f"mkdir my-policy && cp {tmp_path}/night.rego my-policy/"
    execute("manifests/policy/README.md", session, [*SETUP, own])
