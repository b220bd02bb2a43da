"""The word list finds a listed word in each kind of prose, and nothing in code."""

from pathlib import Path

import pytest

from tests.language import words

PROSE = {
    "docstring": ("module.py", 'def f() -> None:\n    """Return the name, whence it came."""\n', 2),
    "comment": ("module.py", "x = 1  # read anew\n", 1),
    "message": ("module.py", 'x = 1\ny = f"{x} is told to the store"\n', 2),
    "wrapped string": ("module.py", 'x = (\n    "one "\n    "at the most two"\n)\n', 2),
    "markdown": ("page.md", "# Title\n\nThe best constant wins.\n", 3),
    "description": ("chart.yaml", "description: the passing reason\n", 1),
}


def found(folder: Path, name: str, text: str) -> list[int]:
    """Return lines of the hits in one file."""
    path = folder / name
    path.write_text(text)
    return [line for line, prose in words.prose(path) if words.PATTERN.search(prose)]


@pytest.mark.parametrize(("name", "text", "line"), PROSE.values(), ids=PROSE)
def test_word_is_found(tmp_path: Path, name: str, text: str, line: int) -> None:
    assert found(tmp_path, name, text) == [line]


@pytest.mark.parametrize("text", ["told = tells(whence)\n", "x = 'as it is for all'\n"])
def test_identifiers_and_other_uses_are_not_found(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, "module.py", text) == []


def test_hit_says_what_to_write() -> None:
    assert str(words.Hit("a.md", 3, "Anew")) == "a.md:3: 'Anew': write again"


def test_allowed_files_exist_and_the_repository_has_no_hit() -> None:
    assert all((words.ROOT / name).is_file() for name in words.ALLOWED)
    assert [str(hit) for hit in words.hits([])] == []
