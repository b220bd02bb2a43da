"""Find words in prose that have a better one: in docs, docstrings, comments and messages.

    .venv/bin/python -m tests.language.words [PATH ...]

Prints one line per hit with what to write instead, and ends with 1 if there is any. Quotations are
allowed where ``ALLOWED`` lists them.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

WORDS = {
    r"whence": "from which, or 'from where'",
    r"anew": "again",
    r"whoever": "the one that, anyone who",
    r"likewise": "also, the same",
    r"gone on with": "resumed, reused",
    r"goes? on with": "resumes",
    r"told": "reported, contains, shown",
    r"tells": "reports, contains, shows",
    r"beside": "next to, in addition to",
    r"at the most": "at most",
    r"as it is\b(?! (?:for|in|not))": "unchanged, current",
    r"will not do": "is not valid",
    r"in (?:its|his) (?:stead|place)": "instead",
    r"foreseen|foresaw": "expected",
    r"is there already": "exists",
    r"makes of it": "does with it",
    r"stand-ins?": "emulator or fake",
    r"data sets?": "dataset; Google's is 'BigQuery dataset'",
    r"passing reasons?": "transient error",
    r"best constants?": "constant prediction",
    r"meanwhiles?\b(?=,? (?:that|who))": "in the meantime",
}
PATTERN = re.compile(r"\b(?:" + "|".join(f"(?:{word})" for word in WORDS) + r")\b", re.IGNORECASE)

ALLOWED = {
    "docs/glossary.md": "defines the constant prediction as the best constant",
    "steps/train/evaluation/metrics.py": "says why a constant is the best one",
    "steps/table/data_warnings.py": "texts of the table data_warnings, which do not change here",
    "tests/argo/renames.yaml": "the old texts of golden files",
    "tests/language/words.py": "the list itself",
    "tests/language/test_words.py": "examples of hits",
}
"""Files that quote a word, with the reason."""

SUFFIXES = {".md", ".py", ".j2", ".tf", ".hcl", ".rego", ".yaml", ".yml", ".toml", ".svg"}
GENERATED = ("tests/argo/golden/", "uv.lock", "tests/sources/", "manifests/overlays/")


@dataclass(frozen=True)
class Hit:
    """A word to replace."""

    path: str
    line: int
    word: str

    def __str__(self) -> str:
        better = next(
            text for word, text in WORDS.items() if re.fullmatch(word, self.word, re.IGNORECASE)
        )
        return f"{self.path}:{self.line}: {self.word!r}: write {better}"


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and text of all prose in a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from enumerate(node.value.splitlines(), node.lineno)


def hits(paths: list[str]) -> list[Hit]:
    """Return all hits in files that git knows."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *paths]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = []
    for name in listed.splitlines():
        path = ROOT / name
        skipped = name in ALLOWED or name.startswith(GENERATED) or not path.is_file()
        if skipped or path.suffix not in SUFFIXES:
            continue
        for line, text in prose(path):
            found += [Hit(name, line, match[0]) for match in PATTERN.finditer(text)]
    return found


def main() -> int:
    """Print all hits; return the exit code."""
    found = hits(sys.argv[1:])
    for hit in found:
        sys.stdout.write(f"{hit}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
