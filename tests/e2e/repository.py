"""A Git repository that a test changes and Argo CD reads."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


def git(folder: Path, *words: str) -> str:
    """Run git in a folder; what it prints."""
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"git {' '.join(words)}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Repository:
    """A clone with the bare repository that it pushes to.

    Attributes:
        clone: where files are changed.
        url: of the bare one.
    """

    clone: Path
    url: str

    @property
    def overlay(self) -> Path:
        """Path of the local overlay in the clone."""
        return self.clone / "manifests" / "overlays" / "local"

    def push(self, message: str) -> None:
        """Commit all changes and push them."""
        git(self.clone, "add", "--all")
        git(self.clone, "commit", "--quiet", "-m", message)
        git(self.clone, "push", "--quiet", "origin", "HEAD:main")


def repository(folder: Path) -> Repository:
    """This repository's manifests, on a Git server of files."""
    bare, clone = folder / "refeed.git", folder / "clone"
    for path in (bare, clone):
        path.mkdir(parents=True)
    git(bare, "init", "--quiet", "--bare", "--initial-branch=main")
    git(clone, "init", "--quiet", "--initial-branch=main")
    git(clone, "remote", "add", "origin", f"file://{bare}")
    subprocess.run(["cp", "-r", str(ROOT / "manifests"), str(clone)], check=True)
    made = Repository(clone, f"file://{bare}")
    source = made.overlay / "argocd" / "source.yaml"
    text = source.read_text()
    assert "file:///srv/refeed.git" in text
    source.write_text(text.replace("file:///srv/refeed.git", made.url))
    for path in (clone / "manifests" / "argocd").glob("*-applicationset.yaml"):  # tests wait for it
        text = path.read_text()
        assert "requeueAfterSeconds: 60" in text
        path.write_text(text.replace("requeueAfterSeconds: 60", "requeueAfterSeconds: 5"))
    made.push("The manifests as they are")
    return made
