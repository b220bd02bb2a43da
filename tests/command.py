"""The command line, called in the test's own process."""

from __future__ import annotations

import io
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from workflows.cli.app import main


def refeed(*arguments: str | Path) -> tuple[int, str, str]:
    """Return exit code, output and errors of the command, called in this process."""
    command = ["refeed", *map(str, arguments)]
    code, output, errors = 0, io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    with patch.object(sys, "argv", command), redirect_stdout(output), redirect_stderr(errors):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            signal.signal(signal.SIGTERM, handler)
    assert "Traceback" not in errors.getvalue(), errors.getvalue()
    return code, output.getvalue(), errors.getvalue()
