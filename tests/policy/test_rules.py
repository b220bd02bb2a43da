"""Run the Rego tests, and check that each rule has tests, a README row and a mutation."""

from __future__ import annotations

import re

from tests.policy.test_overlays import OBJECT_MUTATIONS
from tests.policy.test_plans import PLAN_MUTATIONS
from tests.policy.test_templates import TEMPLATE_MUTATIONS
from tests.policy.tools import POLICY, run

DATA_RULES = {"exemption-narrow"}
"""Rules that check data instead of objects; test_extensions.py covers them."""


def sources(pattern: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(POLICY.rglob(pattern)))


def rules() -> set[str]:
    return set(re.findall(r'violations\.violation\(\s*"([a-z-]+)"', sources("*.rego")))


def test_rego_tests_pass() -> None:
    result = run("conftest", "verify", "--strict", "--no-color", f"--policy={POLICY}")
    assert result.returncode == 0, result.stdout + result.stderr
    passed = re.search(r"(\d+) tests, (\d+) passed", result.stdout)
    assert passed
    assert passed[1] == passed[2]
    assert int(passed[1]) > 2 * len(rules())


def test_rules_are_formatted() -> None:
    result = run("conftest", "fmt", "--check", str(POLICY))
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_rule_has_both_tests() -> None:
    text = sources("*_test.rego")
    for rule in rules():
        for outcome in ("allows", "denies"):
            name = f"test_{rule.replace('-', '_')}_{outcome}"
            assert re.search(rf"^{name} if", text, re.MULTILINE), name


def test_readme_lists_each_rule() -> None:
    table = (POLICY / "README.md").read_text(encoding="utf-8").partition("## Rules")[2]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == rules()


def test_each_rule_has_a_mutation() -> None:
    mutations = [*TEMPLATE_MUTATIONS, *OBJECT_MUTATIONS, *PLAN_MUTATIONS]
    assert {mutation.rule for mutation in mutations} == rules() - DATA_RULES
