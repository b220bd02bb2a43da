"""Every link in every Markdown file leads to a file, folder or heading that exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, anchors, links, pages


def broken(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere; those to the web are not followed."""
    local = [link for link in links(page) if "://" not in link]
    return [link for link in local if not leads_somewhere(page, link)]


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    exists = target.exists() and target.is_relative_to(ROOT)
    return exists and (not anchor or (target.suffix == ".md" and anchor in anchors(target)))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_all_folders_are_covered() -> None:
    covered = {page.relative_to(ROOT).parts[0] for page in pages()}
    assert {"docs", "manifests", "terraform", "containers", "examples", "README.md"} <= covered


@pytest.mark.parametrize("link", ["missing.md", "#missing", "operate.md#missing", "/etc/passwd"])
def test_broken_link_is_found(link: str) -> None:
    assert not leads_somewhere(ROOT / "docs" / "platform" / "install.md", link)


def test_anchor_of_another_page_is_found() -> None:
    assert leads_somewhere(ROOT / "docs/platform/install.md", "operate.md#backup-and-restore")
