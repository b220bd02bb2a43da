"""Patches of a pod's spec, as Argo applies them: more memory for a pod that asked for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from steps.contract import MEMORY_EXIT
from workflows.installation.resource_classes import ResourceClass
from workflows.pods import environment as env

PROGRESS = json.dumps(
    {
        "containers": [
            {
                "name": "wait",
                "env": [{"name": "ARGO_PROGRESS_PATCH_TICK_DURATION", "value": "5s"}],
            }
        ]
    }
)
"""Argo tells of progress once a minute; analysts who watch want to see it move."""


def larger(classes: Sequence[ResourceClass]) -> str:
    """A patch that depends on how the pod before ended: exit code 100 + n asks for class n.

    The retry count does not decide it, for that grows with every lost pod too.

    Args:
        classes: the template's own class, then the larger ones in order.
    """
    chosen = "'{}'"
    for offset in range(len(classes) - 1, 0, -1):
        patch = _quoted(_patch(classes[0], classes[offset], offset))
        chosen = f"lastRetry.exitCode == '{MEMORY_EXIT + offset}' ? {patch} : {chosen}"
    return f"{{{{= {chosen} }}}}" if len(classes) > 1 else ""


def _patch(own: ResourceClass, larger: ResourceClass, offset: int) -> dict[str, Any]:
    """Labels of a node are merged one by one, so those of the template's own class are nulled."""
    amounts = {"cpu": larger.cpu, "memory": larger.memory}
    variables = {env.RESOURCE_CLASS: larger.name, env.CLASS_OFFSET: str(offset)}
    return {
        "nodeSelector": dict.fromkeys(own.node_selector) | larger.node_selector,
        "tolerations": [each.manifest() for each in larger.tolerations],
        "containers": [
            {
                "name": "main",
                "resources": {"requests": amounts, "limits": amounts},
                "env": [{"name": name, "value": value} for name, value in variables.items()],
            }
        ],
    }


def _quoted(patch: dict[str, Any]) -> str:
    """A text of Argo's expression language, which ends an expression at two closing braces."""
    text = json.dumps(patch)
    while "}}" in text:
        text = text.replace("}}", "} }")
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
