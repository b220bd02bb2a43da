"""Regenerate the images in docs/images from a real report: `make screenshots`.

Runs the flights example, which takes seconds once its models are cached, and captures parts of its
report with headless Chromium.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
SHOTS = {
    "report.png": ("", 1280, 1120),
    "report-importance.png": ("importance", 1280, 630),
    "report-dependence.png": ("dependence", 1280, 510),
    "report-data.png": ("data", 1080, 560),
}
"""Section of the report (empty: its first screen), width and height in pixels, by image."""


def main() -> None:
    """Run the example and write each image."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("Chromium is missing. Install it with: sudo apt-get install chromium")
    spec = ROOT / "examples" / "flights" / "spec.yaml"
    command = [str(ROOT / ".venv" / "bin" / "refeed"), "run", str(spec), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    report = Path(json.loads(done.stdout)["report"]).read_text(encoding="utf-8")
    for name, (section, width, height) in SHOTS.items():
        capture(chromium, only(report, section), (width, height), IMAGES / name)
        print(f"Wrote {(IMAGES / name).relative_to(ROOT)}")


def only(report: str, section: str) -> str:
    """Return the report with all but one section hidden."""
    if not section:
        return report
    hidden = f'header, section:not([aria-labelledby="{section}"])'
    rule = f"{hidden} {{ display: none }} h2 {{ margin: 0; padding: 0; border: 0 }}"
    return report.replace("</head>", f"<style>{rule}</style></head>")


def capture(chromium: str, page: str, size: tuple[int, int], image: Path) -> None:
    """Save the first screen of a page."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}"]
        where = [f"--window-size={size[0]},{size[1]}", f"--screenshot={image}", path.as_uri()]
        subprocess.run([chromium, *options, *where], check=True, capture_output=True)


if __name__ == "__main__":
    main()
