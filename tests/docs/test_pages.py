"""The documentation matches the code: specs are valid, generated pages are up to date."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import yaml

import refeed
from steps import errors
from tests.docs.markdown import links, pages
from workflows.docs import pages as generated
from workflows.spec.load import load_spec
from workflows.spec.model import ExperimentSpec

ROOT = Path(__file__).parents[2]


def test_spec_in_readme_is_valid() -> None:
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    spec = ExperimentSpec.model_validate(yaml.safe_load(block[1]))
    assert spec.dataset.partition_by == "dest"


def test_every_screenshot_exists() -> None:
    """`make screenshots` writes what the pages show."""
    shown = {Path(link).name for page in pages() for link in links(page) if link.endswith(".png")}
    script = (ROOT / "docs" / "screenshots.py").read_text(encoding="utf-8")
    assert shown == set(re.findall(r'"([\w-]+\.png)"', script))


def test_every_command_has_help_and_an_example() -> None:
    text = generated()["reference/cli.md"]
    sections = [each for each in text.split("\n## ")[1:] if "```text" in each]
    assert len(sections) > 15
    for section in sections:
        name = section.split("`")[1]
        assert f"\n$ {name} " in section or f"\n$ {name}\n" in section, name


def test_every_public_name_is_documented() -> None:
    text = generated()["reference/python.md"]
    for name in refeed.__all__:
        assert f":: refeed.{name}\n" in text


def test_version_is_the_one_in_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert refeed.__version__ == project["version"]


def test_generated_pages_are_up_to_date() -> None:
    for name, text in generated().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, name


def test_the_schema_accepts_the_examples_keys() -> None:
    """Editors complete from it, so it must know every key that an example uses."""
    schema = json.loads((ROOT / "docs" / "experiment.schema.json").read_text())
    for path in ROOT.glob("examples/*/spec.yaml"):
        assert load_spec(path).spec.name
        assert set(yaml.safe_load(path.read_text())) <= set(schema["properties"])


def test_every_exit_code_is_documented() -> None:
    text = (ROOT / "docs" / "analysts" / "exit-codes.md").read_text()
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    codes = {kind.exit_code for kind in found if issubclass(kind, errors.RefeedError)}
    assert codes == {2, 3, 4, 65, 66, 69, 70, 73, 74, 75, 77, 143}
    for code in codes:
        assert f"| {code} |" in text
