"""Only ``steps/contract/`` knows paths inside the artifact root and names of step arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ARTIFACT = re.compile(
    r"""
    (^|/)(index|run|done|plan|started|outcome|begun|rebuild|fit|explanation|statistics|status)\.json
    | (^|/)(sample\.arrow|attempts\.csv|store\.sqlite|fold-models\.zip|model-card\.md|tfdv\.pb)
    | ^(datasets|cache|uploads|operations|handover|followers|leaving|\.scratch|\.lock)$
    | /(datasets|cache|records|operations|tables|pods|marks|attempts|shards|segments)(/|$)
    | ^(record|attempt|fit|skip|explanation|fold-models|model|model-card)/
    | ^--(root|project|experiment|run|shard|resource-class)=
    """,
    re.VERBOSE,
)
"""What a path inside the artifact root, or the command line of a step, looks like."""

ELSEWHERE = {
    "steps/google/bigquery/request.py": "the API's own resource names",
    "steps/stores/firestore.py": "collections of the database, and gcloud's options",
    "steps/stores/firestore_documents.py": "collections of the database",
    "workflows/profile.py": "files in a folder that the user names",
}
"""Modules with such literals that are not about artifacts."""


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string that is not a docstring."""
    tree = ast.parse(path.read_text())
    documented = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }  # docstrings, of attributes too
    for node in ast.walk(tree):
        if id(node) in documented or not isinstance(node, ast.Constant):
            continue
        if isinstance(node.value, str):
            yield node.lineno, node.value


def offenders(folder: Path) -> list[str]:
    return [
        f"{path.relative_to(folder)}:{line}: {text!r}"
        for package in ("steps", "workflows")
        for path in sorted((folder / package).rglob("*.py"))
        if str(path.relative_to(folder)) not in ELSEWHERE
        if path.parent != folder / "steps" / "contract"
        for line, text in literals(path)
        if ARTIFACT.search(text)
    ]


def test_artifact_paths_are_in_the_contract_only() -> None:
    assert offenders(ROOT) == []


@pytest.mark.parametrize(
    "code",
    [
        'uri = f"{base}/run.json"',
        'join(base, "datasets", name)',
        'f"{base}/records/{name}.json"',
        'f"fit/{key}.json"',
        'command = ["refeed", f"--root={root}"]',
    ],
)
def test_a_path_elsewhere_is_found(code: str, tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "planted.py").write_text(code)
    assert len(offenders(tmp_path)) == 1
