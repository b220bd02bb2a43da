"""The rules' own tests; each rule has two, a line in the README, and a row that breaks a field."""

from __future__ import annotations

import re

from tests.policy.test_overlays import BROKEN_OBJECTS
from tests.policy.test_plans import BROKEN_PLANS
from tests.policy.test_templates import BROKEN_TEMPLATES
from tests.policy.tools import POLICY, run

OF_DATA = {"exemption-narrow"}
"""No field of an object breaks it; tests/policy/test_own.py does."""


def sources(pattern: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(POLICY.rglob(pattern)))


def rules() -> set[str]:
    return set(re.findall(r'refusals\.refusal\(\s*"([a-z-]+)"', sources("*.rego")))


def test_conftest_verifies_the_rules() -> None:
    done = run("conftest", "verify", "--strict", "--no-color", f"--policy={POLICY}")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) tests, (\d+) passed", done.stdout)
    assert passed
    assert passed[1] == passed[2]
    assert int(passed[1]) > 2 * len(rules())


def test_the_rules_are_formatted() -> None:
    done = run("conftest", "fmt", "--check", str(POLICY))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_has_a_test_that_passes_and_one_that_refuses() -> None:
    text = sources("*_test.rego")
    for rule in rules():
        for outcome in ("accepts", "refuses"):
            name = f"test_{rule.replace('-', '_')}_{outcome}"
            assert re.search(rf"^{name} if", text, re.MULTILINE), name


def test_the_readme_lists_each_rule() -> None:
    table = (POLICY / "README.md").read_text(encoding="utf-8").partition("## Rules")[2]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == rules()


def test_each_rule_refuses_a_broken_field_of_something_real() -> None:
    rows = [*BROKEN_TEMPLATES, *BROKEN_OBJECTS, *BROKEN_PLANS]
    assert {row.rule for row in rows} == rules() - OF_DATA
