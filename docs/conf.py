"""The configuration of Sphinx for `make docs`."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = os.environ.get("GITHUB_REPOSITORY")
SOURCE = f"https://github.com/{REPOSITORY}" if REPOSITORY else PROJECT["urls"]["Source"]

project = "Refeed"
author = "The Refeed authors"
version = release = PROJECT["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["conf.py", "screenshots.py"]
myst_heading_anchors = 4
smartquotes = False  # `--set` stays `--set`
autodoc_typehints = "description"
autodoc_member_order = "bysource"
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"

html_theme = "furo"
html_title = f"Refeed {release}"
html_copy_source = False
html_show_copyright = False
html_theme_options = {
    "source_repository": SOURCE,
    "source_branch": "main",
    "source_directory": "docs/",
}


def setup(app: Sphinx) -> None:
    """Register the hooks."""
    app.connect("source-read", link_to_source)
    app.connect("autodoc-process-docstring", read_docstring)


def link_to_source(_app: Sphinx, page: str, source: list[str]) -> None:
    """Let links to files outside docs/ lead to the repository on the web."""

    def on_the_web(link: re.Match[str]) -> str:
        path, _, anchor = link[1].partition("#")
        target = (DOCS / page).parent.joinpath(path).resolve()
        if target.is_relative_to(DOCS):
            return link[0]
        kind = "tree" if target.is_dir() else "blob"
        where = f"{SOURCE}/{kind}/main/{target.relative_to(ROOT)}"
        return f"]({where}#{anchor})" if anchor else f"]({where})"

    source[0] = re.sub(r"\]\(((?:\.\./)+[^)\s]*)\)", on_the_web, source[0])


def read_docstring(
    _app: Sphinx,
    what: Any,  # noqa: ANN401 - Sphinx has no public name for its type
    _name: str,
    _object: object,
    _options: object,
    lines: list[str],
) -> None:
    """Read Google's sections, and `code` as in Markdown; reStructuredText needs two backticks.

    The docstring of an attribute has no sections: napoleon would take "Name: ..." for a type.
    """
    lines[:] = [re.sub(r"(?<![`:])`([^`]+)`(?![`_])", r"``\1``", line) for line in lines]
    if what not in {"attribute", "data", "property"}:
        settings: Any = Config(napoleon_use_ivar=True)
        lines[:] = GoogleDocstring(lines, settings, what=what).lines()
