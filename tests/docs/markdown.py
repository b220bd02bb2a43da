"""The Markdown files of the repository: their links, headings and commands."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
LAPTOP = {
    "README.md",
    "docs/quickstart.md",
    "docs/analysts/spec.md",
    "docs/analysts/tables.md",
    "docs/platform/installation-file.md",
    "examples/custom_trainer/README.md",
}
"""Pages whose commands are executed; those of all others are parsed."""
LOCAL = {"docs/platform/install.md", "manifests/policy/README.md"}
"""Pages whose commands are executed unless they call Google Cloud or a cluster."""
_REMOTE = re.compile(
    r"\b(?:gcloud|terraform|kubectl|docker|bq)\b|make (?:images|submit)|refeed (?:status|submit)"
)
_MARK = re.compile(r"<!-- test: parse \(.+\) -->")


@dataclass(frozen=True)
class Command:
    """A command line in a page.

    Attributes:
        page: path in the repository.
        text: one or more lines, without the prompt.
        output: the lines that the page shows below it.
        executed: the tests execute it.
        mentioned: it is part of a sentence, possibly without its arguments.
    """

    page: str
    text: str
    output: tuple[str, ...] = ()
    executed: bool = False
    mentioned: bool = False


@cache
def pages() -> tuple[Path, ...]:
    """Return every Markdown file that Git knows, and new ones that it does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(
        ROOT / line for line in sorted(done.stdout.splitlines()) if (ROOT / line).is_file()
    )


def links(page: Path) -> list[str]:
    """Return the targets of all links and images of a page."""
    found = (token.attrGet("href") or token.attrGet("src") for token in _inline(page))
    return [str(target) for target in found if target]


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    seen: Counter[str] = Counter()
    made = set()
    tokens = _tokens(page)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            slug = _slug("".join(each.content for each in inline.children or []))
            made.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return frozenset(made)


def commands(page: Path) -> list[Command]:
    """Return the commands in a page's blocks, and the `refeed` and `make` commands in its text."""
    name = str(page.relative_to(ROOT))
    found: list[Command] = []
    parse_only = False
    for token in _tokens(page):
        if token.type == "fence" and token.info in {"console", "shell"}:
            found += _commands_in(name, token, executed=name in LAPTOP | LOCAL and not parse_only)
        parse_only = token.type == "html_block" and bool(_MARK.match(token.content))
    mentioned = [t.content for t in _inline(page) if t.type == "code_inline"]
    return found + [
        Command(name, t, mentioned=True) for t in mentioned if re.match(r"(refeed|make)\b(?!:)", t)
    ]


def _commands_in(page: str, token: Token, *, executed: bool) -> Iterator[Command]:
    if token.info == "shell":
        yield Command(page, token.content.rstrip(), executed=executed)
        return
    lines: list[str] = []
    for line in [*token.content.splitlines(), "$ "]:
        if line.startswith("$ ") and lines:
            yield _command(page, lines, executed=executed)
            lines = []
        lines.append(line.removeprefix("$ ") if not lines else line)


def _command(page: str, lines: list[str], *, executed: bool) -> Command:
    """Return a command of as many lines as the shell needs; the rest is its output."""
    taken = 1
    while taken < len(lines) and not _complete("\n".join(lines[:taken])):
        taken += 1
    text = "\n".join(lines[:taken])
    here = executed and not (page in LOCAL and _REMOTE.search(text))
    return Command(page, text, tuple(lines[taken:]), executed=here)


def _complete(text: str) -> bool:
    if text.endswith("\\"):
        return False
    return (
        subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False).returncode == 0
    )


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@cache
def _tokens(page: Path) -> tuple[Token, ...]:
    parser = MarkdownIt("commonmark").enable("table")
    return tuple(parser.parse(page.read_text(encoding="utf-8")))


def _inline(page: Path) -> list[Token]:
    return [child for token in _tokens(page) for child in token.children or []]
