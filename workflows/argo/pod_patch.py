"""Patches of a pod's spec, which Argo applies: a larger class for a pod that needs one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from steps.contract import LARGER_CLASS_EXIT_BASE
from workflows.installation.resource_classes import ResourceClass
from workflows.pods import environment as env

TMP = "tmp"
"""Name of the volume that is mounted at /tmp."""
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
"""Report progress every 5 seconds instead of Argo's default of once a minute."""


def larger(classes: Sequence[ResourceClass]) -> str:
    """Return a patch that depends on the previous pod's exit code: 100 + n requests class n.

    The retry count cannot be used, since it also grows with each lost pod.

    Args:
        classes: the template's own class, then the larger ones in order.
    """
    chosen = "'{}'"
    for offset in range(len(classes) - 1, 0, -1):
        patch = json.dumps(_patch(classes[0], classes[offset], offset))
        while "}}" in patch:  # which would end an expression of Argo
            patch = patch.replace("}}", "} }")
        escaped = patch.replace("\\", "\\\\").replace("'", "\\'")
        chosen = (
            f"lastRetry.exitCode == '{LARGER_CLASS_EXIT_BASE + offset}' ? '{escaped}' : {chosen}"
        )
    return f"{{{{= {chosen} }}}}" if len(classes) > 1 else ""


def _patch(own: ResourceClass, larger: ResourceClass, offset: int) -> dict[str, Any]:
    """Return the patch of one class. Maps are merged, so the own class's entries are nulled."""
    amounts = dict.fromkeys(own.resources) | larger.amounts
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
        "volumes": [{"name": TMP, "emptyDir": {"sizeLimit": larger.ephemeral_storage}}],
    }
