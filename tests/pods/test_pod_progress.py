"""Progress in a pod's log."""

from __future__ import annotations

import pytest

from workflows.pods.progress import PodProgress


def test_notes_are_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning of a source is shown, as on a terminal."""
    progress = PodProgress()
    progress.begin("check", "warnings", 1)
    progress.advance(1, "A table of the query has row access policies.")
    progress.end()
    assert "check: A table of the query has row access policies.\n" in capsys.readouterr().err
