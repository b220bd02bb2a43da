"""A laptop for the commands of a page: a clone, small tables, a throw-away environment."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.docs.markdown import ROOT

URL = "https://github.com/YOUR-ORGANISATION/refeed.git"
_DESTINATIONS = ["HOU", "JAX", "STT"]
_MARK = "=== command"
WHO = ("AUTHOR", "COMMITTER")


class Session:
    """A shell in a fresh clone of the repository, with the files of the working tree.

    `git clone` of the address in the pages clones the working tree. A hook prepares each clone:
    it gets small tables, and an environment that holds what this one holds, so `make install` has
    nothing to do and `pip install` does not change this environment.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._origin = folder / "origin"
        self._prepare_tables()
        self._prepare_environment()
        self._prepare_origin()

    def run(self, commands: list[str], setup: Sequence[str] = ()) -> list[str]:
        """Execute commands in one shell, after those of `setup`, and return what each printed."""
        penguins = f"cp {ROOT}/data/penguins.csv data/"
        start = [f"git clone --quiet {URL}", "cd refeed", penguins]
        start = [] if "git clone" in commands[0] else [*start, *setup]
        lines = ["set -e -o pipefail", *start]
        for command in commands:
            lines += [f"echo '{_MARK}'", command]
        done = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=self._folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=1200,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.split(f"{_MARK}\n")[1:]

    def _environment(self) -> dict[str, str]:
        kept = {
            k: v
            for k, v in os.environ.items()
            if k not in {"VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "VENV"}
        }
        tools = self._folder / "tools"
        return {
            **kept,
            "PATH": f"{tools}:{self._folder / 'environment' / 'bin'}:{kept['PATH']}",
            "GIT_TEMPLATE_DIR": str(self._folder / "template"),
            **{f"GIT_{who}_{what}": "t@example.com" for who in WHO for what in ("NAME", "EMAIL")},
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{self._origin}.insteadOf",
            "GIT_CONFIG_VALUE_0": URL,
        }

    def _prepare_tables(self) -> None:
        """Write a few destinations of the flights, and sales in three stores."""
        tables = self._folder / "tables"
        tables.mkdir()
        flights = pq.read_table(ROOT / "data" / "flights.parquet")
        chosen = pc.is_in(flights["dest"], value_set=pc.cast(_DESTINATIONS, flights["dest"].type))
        pq.write_table(flights.filter(chosen), tables / "flights.parquet")
        draw = random.Random(7)
        lines = ["store,day,price,promotion,amount"]
        for row in range(900):
            price, promotion = draw.uniform(1, 9), draw.choice(["yes", "no"])
            amount = 50 - 4 * price + 9 * (promotion == "yes") + draw.gauss(0, 5)
            lines.append(f"{'abc'[row % 3]},{row % 30},{price:.2f},{promotion},{amount:.2f}")
        (tables / "sales.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _prepare_environment(self) -> None:
        """Create an environment whose packages are links to those of this one."""
        made = self._folder / "environment"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
        packages = Path(sysconfig.get_path("purelib"))
        theirs = made / packages.relative_to(sys.prefix)
        for entry in packages.iterdir():
            if entry.suffix == ".dist-info":  # uv does not follow links to these
                shutil.copytree(entry, theirs / entry.name, dirs_exist_ok=True)
            elif not (theirs / entry.name).exists():
                (theirs / entry.name).symlink_to(entry)
        shutil.copy2(Path(sys.executable).with_name("uv"), made / "bin" / "uv")
        program = made / "bin" / "refeed"
        main = "from workflows.cli.app import main; main()"
        program.write_text(
            f'#!/bin/sh\nexec "{made}/bin/python" -c "{main}" "$@"\n', encoding="utf-8"
        )
        program.chmod(0o755)

    def _prepare_origin(self) -> None:
        """Commit the working tree to a repository, and write the hook that prepares its clones."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (self._origin / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self._origin / name)
        environment = self._environment()
        for arguments in (
            ["init", "--quiet"],
            ["add", "--all"],
            ["-c", "commit.gpgsign=false", "commit", "--quiet", "-m", "all"],
            ["config", "receive.denyCurrentBranch", "ignore"],
        ):
            subprocess.run(["git", *arguments], cwd=self._origin, env=environment, check=True)
        hook = self._folder / "template" / "hooks" / "post-checkout"
        hook.parent.mkdir(parents=True)
        hook.write_text(
            f"""#!/bin/sh
set -e
mkdir -p data
cp {self._folder}/tables/flights.parquet data/
cp {self._folder}/tables/sales.csv .
ln -s {self._folder}/environment .venv
touch -d 2000-01-01 pyproject.toml uv.lock
touch .venv/.synced
""",
            encoding="utf-8",
        )
        hook.chmod(0o755)
