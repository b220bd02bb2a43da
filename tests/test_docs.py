"""The docs say what is so: a valid spec, links that lead somewhere, all exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from steps import errors
from workflows.docs import pages
from workflows.spec.load import load_spec
from workflows.spec.model import ExperimentSpec

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))


def test_the_readmes_spec_is_valid() -> None:
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    spec = ExperimentSpec.model_validate(yaml.safe_load(block[1]))
    assert spec.dataset.partition_by == "dest"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([\w./-]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_generated_pages_are_up_to_date() -> None:
    for name, text in pages().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, name


def test_the_schema_accepts_the_examples_keys() -> None:
    """Editors complete from it, so it must know every key that an example uses."""
    schema = json.loads((ROOT / "docs" / "experiment.schema.json").read_text())
    for path in ROOT.glob("examples/*/spec.yaml"):
        assert load_spec(path).spec.name
        assert set(yaml.safe_load(path.read_text())) <= set(schema["properties"])


def test_every_exit_code_is_documented() -> None:
    text = (ROOT / "docs" / "exit-codes.md").read_text()
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    codes = {kind.exit_code for kind in found if issubclass(kind, errors.RefeedError)}
    assert codes == {2, 3, 4, 65, 66, 69, 70, 73, 75, 77, 143}
    for code in codes:
        assert f"| {code} |" in text
