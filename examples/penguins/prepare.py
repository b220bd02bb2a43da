"""Copies data/penguins.csv out of the package palmerpenguins.

python examples/penguins/prepare.py data/penguins.csv
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path


def main(target: str) -> None:
    """Copy the table: 344 penguins of three species."""
    found = importlib.util.find_spec("palmerpenguins")
    if found is None or found.origin is None:
        raise SystemExit("palmerpenguins is not installed: uv sync --group examples")
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(found.origin).parent / "data" / "penguins.csv", path)
    print(f"{path}: 344 penguins")


if __name__ == "__main__":
    main(sys.argv[1])
