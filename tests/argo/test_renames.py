"""Golden files change by committed renames only; see ``renames``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.argo.renames import (
    Renames,
    committed_renames,
    current_files,
    differences,
    old_files,
)


def differences_of(old: Any, new: Any, **names: str) -> list[str]:
    return list(differences({"a.yaml": old}, {"a.yaml": new}, Renames(names)))


def test_golden_files_differ_from_the_old_ones_by_renames_only() -> None:
    old = old_files()
    assert len(old) == 20
    lines = list(differences(old, current_files(), committed_renames()))
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("size", "tier"),
        ("--size=size", "--tier=tier"),
        ("{{inputs.parameters.size}}", "{{inputs.parameters.tier}}"),
        ('{"size": "small"}', '{"tier": "small"}'),
        ("refeed/size", "refeed/tier"),
        ("max-size size-max sizes SIZE my_size", "max-size size-max sizes SIZE my_size"),
    ],
)
def test_whole_words_are_renamed(old: str, new: str) -> None:
    assert Renames({"size": "tier"}).apply({old: [old, 1, None]}) == {new: [new, 1, None]}


def test_names_are_swapped_and_longer_ones_win() -> None:
    renames = Renames({"a": "b", "b": "a", "a-b": "c", "--b=": "--d="})
    assert renames.apply("a b a-b --b=1 --b") == "b a c --d=1 --a"


def test_any_other_difference_is_reported_with_its_path() -> None:
    assert differences_of({"x": [{"y": 1}]}, {"x": [{"y": 2}]}) == ["a.yaml: x[0].y: was 1, is 2"]
    assert differences_of({"x": 1}, {"x": "1"}) == ["a.yaml: x: was 1, is '1'"]
    assert differences_of({"x": 1}, {"x": True}) == ["a.yaml: x: was 1, is True"]
    assert differences_of({"x": [1]}, {"x": [1, 2]}) == ["a.yaml: x: was [1], is [1, 2]"]
    assert differences_of({"x": 1}, {"z": 1}) == [
        "a.yaml: x: was 1, is missing",
        "a.yaml: z: is new, 1",
    ]
    assert differences_of({"x": "x y"}, {"z": "x z"}, x="z") == ["a.yaml: z: was 'z y', is 'x z'"]


def test_added_or_removed_file_is_reported() -> None:
    none = Renames({})
    assert list(differences({"a.yaml": 1}, {}, none)) == ["a.yaml: the file is missing"]
    assert list(differences({}, {"a.yaml": 1}, none)) == ["a.yaml: the file is new"]


def test_an_unused_entry_is_reported() -> None:
    assert differences_of({"x": 1}, {"x": 1}, size="tier") == [
        "renames.yaml: 'size' renames nothing"
    ]


def test_two_keys_do_not_become_one() -> None:
    with pytest.raises(ValueError, match="get the same name"):
        Renames({"x": "y"}).apply({"x": 1, "y": 2})
