"""Nothing that a spec's author writes is expanded by Argo, or changes the YAML's shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.errors import SpecError
from tests.argo.cases import installation, small_spec
from workflows.argo.compile import compile_spec, to_yaml
from workflows.argo.template import Manifest
from workflows.pods.environment import SPEC, plain
from workflows.spec.model import ExperimentSpec

PLATFORM = installation()
HOSTILE = [
    "{{workflow.parameters.x}}",
    "{{=1+1}}",
    "{{{{inputs.parameters.run}}}}",
    "{{{",
    "\\{{=1}}",
    "}}",
    "{%raw%}",
    "'",
    '"',
    "\\",
    "\\\\n",
    "a\nb",
    "a\r\nb: c",
    "\t- x",
    "# not a comment",
    "&anchor *alias !!python/none",
    "\u2028\u0085\ufeff",
    "$(REFEED_ROOT)",
    "ünïcödé 🐧",
    "---\n...",
    "",
    " ",
]


def hostile_spec(text: str, **changes: Any) -> ExperimentSpec:
    """Return a spec with a text in every free-text field."""
    names = [f"{text}feature", f"{text}other"]
    return small_spec(
        **{
            "dataset__partition_by": f"{text}key",
            "dataset__target": f"{text}target",
            "dataset__features": names,
            "dataset__categorical": names[:1],
            "dataset__weight": f"{text}weight",
            "dataset__types": {f"{text}zip": "string"},
            "dataset__null_values": [text, "NA"],
            "trainer": {"name": "forest", "params": {text: [text, {"inner": text}]}},
            "evaluate": {"group": f"{text}group"},
            "explain": {"partial_dependence": {"features": names[1:]}},
            **changes,
        }
    )


def compiled(spec: ExperimentSpec) -> Manifest:
    return compile_spec(spec, PLATFORM, "workflow")


def spec_variable(manifest: Manifest) -> str:
    check = next(each for each in manifest["spec"]["templates"] if each["name"] == "check")
    values = [each["value"] for each in check["container"]["env"] if each["name"] == SPEC]
    assert len(values) == 1
    text: str = values[0]
    return text


def texts(value: Any) -> list[str]:
    """Return all texts that Argo expands."""
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) and "{{" in value else []


def check_harmless(spec: ExperimentSpec) -> None:
    manifest = compiled(spec)
    variable = spec_variable(manifest)
    assert "{{" not in variable
    assert ExperimentSpec.model_validate(json.loads(variable)) == spec
    assert yaml.safe_load(to_yaml(manifest, "x")) == manifest
    usual = texts(compiled(small_spec(trainer={"name": "forest"})))
    assert texts(manifest) == usual  # nothing to expand but what the compiler put there


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_reaches_the_pod_unchanged(text: str) -> None:
    check_harmless(hostile_spec(text))


@settings(max_examples=25, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_reaches_the_pod_unchanged(text: str) -> None:
    check_harmless(hostile_spec(text))


@given(
    value=st.recursive(
        st.text("{}=\\\"'x\n"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("{}\\\"'"), inner),
    )
)
def test_escaped_json_has_nothing_to_expand_and_equal_value(value: Any) -> None:
    text = plain(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
    assert json.loads(text) == value
    assert "{{" not in text.replace('[{"', "").replace(':{"', "")


@pytest.mark.parametrize("label", ["{", "}", "{{=1}}", "a\nb", "\x7f"])
def test_label_has_no_braces(label: str) -> None:
    with pytest.raises(ValueError, match=r"execution\.label"):
        small_spec(execution__label=label)


@pytest.mark.parametrize("text", ["{{workflow.name}}", "{{=1+1}}", "{x}", "a}}"])
@pytest.mark.parametrize("where", ["output", "dataset__source"])
def test_uri_with_braces_is_rejected(where: str, text: str) -> None:
    spec = small_spec(**{where: f"gs://refeed-demo/{text}"})
    with pytest.raises(SpecError, match=r"braces.*\n.*--set"):
        compiled(spec)


def test_spec_name_stays_in_the_first_comment() -> None:
    text = to_yaml({"a": 1}, "spec\n- evil: true\u2028.yaml")
    assert yaml.safe_load(text) == {"a": 1}
    assert text.count("\n") == 2
