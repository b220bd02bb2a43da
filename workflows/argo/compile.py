"""``refeed compile``: compile a spec to Argo objects as readable, deterministic YAML."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import yaml

from refeed import __version__
from steps.errors import Problem, SpecError
from steps.train.registry import check_params, installed
from workflows.argo import template
from workflows.argo.template import Manifest
from workflows.installation.model import Installation
from workflows.installation.projects import project_for
from workflows.spec.model import ExperimentSpec

Kind = Literal["workflow-template", "workflow", "cron-workflow"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_COMPILERS: dict[Kind, Callable[[ExperimentSpec, Installation], Manifest]] = {
    "workflow-template": template.workflow_template,
    "workflow": template.workflow,
    "cron-workflow": template.cron_workflow,
}


def compile_spec(spec: ExperimentSpec, installation: Installation, kind: Kind) -> Manifest:
    """Compile a spec to an Argo object.

    Raises:
        SpecError: the spec does not fit the installation, or has no schedule to compile.
    """
    project_for(installation, spec)
    if kind == "cron-workflow" and spec.schedule is None:
        hint = "For example --set 'schedule={cron: \"0 6 * * 1\"}'"
        problem = Problem("schedule", "the spec has no schedule", hint)
        raise SpecError("the spec", [problem])
    if spec.trainer.name in installed():  # else the check step checks them in the trainer's image
        check_params(spec.trainer.name, spec.trainer.params)
    return _COMPILERS[kind](spec, installation)


def to_yaml(manifest: Manifest, source: str) -> str:
    """Return an object as YAML.

    Args:
        manifest: the object.
        source: name of the spec, for the comment at the top.
    """
    name = "".join(c if c.isprintable() else "?" for c in source)
    head = f"# Made by refeed {__version__} from {name}; compile it again rather than edit it.\n"
    return head + yaml.dump(
        manifest, Dumper=_Readable, sort_keys=False, width=100, allow_unicode=False
    )


class _Readable(yaml.SafeDumper):
    """YAML dumper with indented lists and without anchors. Used with ASCII output only."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, False)
