"""The commands in the documentation: laptop pages are executed, all others parsed.

A command is exempt only if it calls a tool that needs a Google Cloud project or a cluster, or
prepares such a call. The number of exempt commands is fixed below, so that it does not grow unseen.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.docs.laptop import Session
from tests.docs.markdown import LAPTOP, ROOT, Command, commands, pages
from workflows.cli.app import app

COMMANDS = [command for page in pages() for command in commands(page)]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
OURS = re.compile(r"(?:^|[|;&(]\s*)(?:\.venv/bin/)?((?:refeed|make)\b[^|;&)\n#>]*)", re.MULTILINE)
NEED_A_PROJECT = {
    *("bq", "docker", "firebase", "gcloud", "git", "kubectl", "terraform"),
    *("conftest", "kustomize", "tflint"),  # executed by tests/policy and tests/terraform
    "kind",
}
PREPARE = {"cd", "cp", "echo", "export", "for", "sed", "source"}
PREPARE |= {'POLICY="--policy', "$(terraform", "prefix=$(terraform"}
NOTHING: Mapping[str, str] = {}
EXEMPT = 93
"""Commands that are neither executed nor parsed, in all pages. tests/e2e executes ten of them."""


def test_commands_are_found() -> None:
    kinds = Counter(kind(command) for command in COMMANDS)
    assert kinds["exempt"] == EXEMPT
    assert kinds["executed"] >= 50
    assert kinds["parsed"] > 60


def kind(command: Command) -> str:
    """Return executed, parsed or exempt."""
    return "executed" if command.executed else "parsed" if OURS.search(command.text) else "exempt"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: f"{each.page}: {each.text[:40]}")
def test_command_is_valid(command: Command) -> None:
    for words in ours(command.text):
        parse(words, mentioned=command.mentioned)


@pytest.mark.parametrize(
    "command",
    [each for each in COMMANDS if kind(each) == "exempt"],
    ids=lambda each: f"{each.page}: {each.text[:40]}",
)
def test_exempt_command_needs_a_project(command: Command) -> None:
    assert command.text.split()[0] in NEED_A_PROJECT | PREPARE
    done = subprocess.run(
        ["bash", "-n", "-c", command.text], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def ours(text: str) -> Iterator[list[str]]:
    """Yield the words of each call of refeed or make in a command."""
    joined = re.sub(r"\$\(terraform [^)]*\)", "VALUE", re.sub(r"\\\n\s*", " ", text))
    for call in OURS.findall(joined):
        yield shlex.split(re.sub(r"[\[\]`]", "", call))


def parse(words: list[str], *, mentioned: bool = False) -> None:
    """Fail unless the program accepts these words; in a sentence, arguments may be missing."""
    if words[0] == "make":
        parse_make(words[1:])
        return
    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        command, rest = command.commands[rest[0]], rest[1:]
    if rest[:1] in (["--version"], ["--install-completion"], ["--help"]):
        assert rest[0] == "--help" or rest[0] in {o for p in command.params for o in p.opts}
    elif rest or not mentioned:
        command.make_context("refeed", list(rest))


def parse_make(words: list[str]) -> None:
    targets = set(re.findall(r"^([\w./-]+):", MAKEFILE, re.MULTILINE))
    for word in words:
        name, equals, _ = word.partition("=")
        if equals:
            assert re.search(rf"\$[({{]{name}[)}}]", MAKEFILE), f"the Makefile does not use {name}"
        elif not word.startswith("-") and word != "../../..":
            assert word in targets, f"the Makefile has no target {word}"


@pytest.mark.parametrize(
    "wrong",
    [
        "refeed run",
        "refeed run --no-such-option spec.yaml",
        "refeed no-such-command spec.yaml",
        "cd refeed && make no-such-target",
        "make demo NO_SUCH_VARIABLE=1",
    ],
)
def test_wrong_command_is_found(wrong: str) -> None:
    (words,) = ours(wrong)
    with pytest.raises(Exception, match=r"(?i)missing|no such|no target|does not use|no-such"):
        parse(words)


_GNU_ONLY = re.compile(
    r"sed -i (?!\.)|\bdate -d\b|base64 -w|readlink -f|xargs -r|grep -\w*P|stat -c|"
    r"head -n? ?-\d|sort -V"
)
"""Options that the tools of macOS lack. Its sed wants a suffix after -i."""


def test_commands_work_on_macos() -> None:
    assert [each.text for each in COMMANDS if _GNU_ONLY.search(each.text)] == []


@pytest.mark.parametrize("text", ["sed -i 's/a/b/' f", "base64 -w0 f", "ls | xargs -r rm"])
def test_commands_that_need_linux_are_found(text: str) -> None:
    assert _GNU_ONLY.search(text)


def test_make_names_the_packages_of_the_system(tmp_path: Path) -> None:
    """On macOS LightGBM needs libomp, which no machine of these tests has."""
    uname = tmp_path / "uname"
    uname.write_text("#!/bin/sh\necho Darwin\n")
    uname.chmod(0o755)
    done = subprocess.run(
        ["make", "check-system"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Install them with: brew install libomp" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(LAPTOP))
def test_laptop_page_runs(page: str, tmp_path: Path) -> None:
    """Execute the commands of a page in order, and compare their output with the lines shown."""
    execute(page, Session(tmp_path))


@pytest.mark.slow
def test_local_commands_of_the_installation_run(tmp_path: Path) -> None:
    """Execute everything that needs neither Google Cloud nor a cluster, with Git as the remote.

    The example installation file, with another mirror, stands for the one that Terraform writes.
    After the spec is copied, the page asks the reader to edit it.
    """
    edit = (
        "sed -i -e 's|^  source: .*|  source: gs://my-project-refeed-demo/flights.parquet|' "
        "-e 's|^output: .*|output: gs://my-project-refeed-demo|' "
        "manifests/overlays/gke/projects/demo/experiments/flights.yaml"
    )
    example = "manifests/installation.example.yaml"
    setup = [f"sed 's/europe-west1-docker/europe-west4-docker/' {example} > installation.yaml"]
    execute("docs/platform/install.md", Session(tmp_path), setup, after={"cp examples/": edit})


def execute(
    page: str, session: Session, setup: Sequence[str] = (), after: Mapping[str, str] = NOTHING
) -> None:
    """Run a page's commands and compare their output, or fail.

    Args:
        page: path in the repository.
        session: where to run them.
        setup: commands to run first.
        after: a command to run after each one that starts with the key.
    """
    executed = [command for command in commands(ROOT / page) if command.executed]
    assert executed
    scripts = [
        "\n".join(
            [each.text, *(more for start, more in after.items() if each.text.startswith(start))]
        )
        for each in executed
    ]
    for command, actual in zip(executed, session.run(scripts, setup), strict=True):
        seen = {masked(line) for line in actual.splitlines()}
        for line in command.output:
            assert line.strip() == "..." or masked(line) in seen, f"{command.text}\n{actual}"


def masked(line: str) -> str:
    """Return a line without its numbers and run ids, which differ from run to run."""
    line = re.sub(r"\d{8}T\d{6}-[0-9a-f]{4}", "RUN", line)
    return " ".join(re.sub(r"[+-]?\d[\d,.]*", "N", line).split())
