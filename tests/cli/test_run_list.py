"""The list of runs on a cluster."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from rich.console import Console

from steps.records import RunRecord
from workflows.cli import runs as view

STATUSES: tuple[Literal["finished", "waiting"], ...] = ("finished", "waiting")
LABEL = "a note that is longer than a terminal is wide, as notes about experiments often are"


def listed(width: int, monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=terminal,
        color_system=None,
        highlight=False,
        soft_wrap=True,
    )
    monkeypatch.setattr(view, "out", console)
    records = [
        RunRecord("demo", "flights-arrival-delay", f"20261128T204443-499{n}", "", "", status, "")
        for n, status in enumerate(STATUSES)
    ]
    records.append(RunRecord("lab", "m", "20261128T204443-4999", "", "", "failed", "", label=LABEL))
    runs: list[Any] = [SimpleNamespace(record=each) for each in records]
    view.print_list(runs)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 60, 80, 100, 200])
@pytest.mark.parametrize("terminal", [True, False])
def test_names_and_ids_are_never_cut(
    width: int, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = listed(width, monkeypatch, terminal=terminal)
    for n in (0, 1, 9):
        assert f"20261128T204443-499{n}" in text
    assert text.count("flights-arrival-delay") == 2
    assert {"finished", "waiting", "failed"} <= set(text.split())


def test_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LABEL in listed(80, monkeypatch, terminal=False)


def test_a_label_gives_way_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = listed(100, monkeypatch, terminal=True)
    assert "a note that" in text
    assert LABEL not in text
    assert "…" in text
