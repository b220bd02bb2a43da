"""Which cluster, and which way to it: told by the environment, as Argo and kubectl are told."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from steps.errors import UnavailableError, UsageError
from workflows.cluster.base import Cluster

VARIABLE = "REFEED_CLUSTER"
"""Chooses where both ways are open: argo or kubernetes."""

_SERVICE_HOST = "KUBERNETES_SERVICE_HOST"
_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def connect(environment: Mapping[str, str]) -> Cluster:
    """The cluster that the environment names; nothing is asked of it yet.

    An Argo server (``ARGO_SERVER``) comes first, then a kubeconfig (``KUBECONFIG``, or the one in
    the home folder), then the account of the pod that this runs in.

    Raises:
        UnavailableError: the environment names no cluster.
        UsageError: ``REFEED_CLUSTER`` is no way that we know.
    """
    wanted = environment.get(VARIABLE, "")
    if wanted not in {"", *_WAYS}:
        message = f"{VARIABLE} is {wanted!r}; it must be one of {', '.join(sorted(_WAYS))}."
        raise UsageError(message, hint="Leave it out to use an Argo server if ARGO_SERVER is set.")
    for name, way in _WAYS.items():
        found = way(environment) if wanted in {"", name} else None
        if found is not None:
            return found
    raise _nowhere(environment, wanted)


def _argo(environment: Mapping[str, str]) -> Cluster | None:
    if not environment.get("ARGO_SERVER"):
        return None
    return _made("workflows.cluster.argo_server", "ArgoServer", "of", environment)


def _kubernetes(environment: Mapping[str, str]) -> Cluster | None:
    module, name = "workflows.cluster.kubernetes_api", "KubernetesApi"
    files = _kubeconfig(environment)
    if files is not None:
        return _made(module, name, "of_kubeconfig", files)
    if environment.get(_SERVICE_HOST) and _TOKEN.is_file():
        return _made(module, name, "in_cluster", environment)
    return None


_WAYS: dict[str, Callable[[Mapping[str, str]], Cluster | None]] = {
    "argo": _argo,
    "kubernetes": _kubernetes,
}


def _kubeconfig(environment: Mapping[str, str]) -> str | None:
    """The files that are there, as in ``KUBECONFIG``; None if none is."""
    home = Path(environment.get("HOME") or Path.home())
    named = environment.get("KUBECONFIG") or str(home / ".kube" / "config")
    there = [name for name in named.split(os.pathsep) if name and Path(name).is_file()]
    return os.pathsep.join(there) or None


def _made(module: str, name: str, maker: str, argument: object) -> Cluster:
    """The adapter, imported on use: whoever submits through Argo needs no Kubernetes client."""
    try:
        adapter: Any = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        message = f"Reaching a cluster needs the module {error.name}, which is not installed."
        raise UnavailableError(message, hint="Install it: pip install 'refeed[argo]'") from error
    made: Cluster = getattr(adapter, maker)(argument)
    return made


def _nowhere(environment: Mapping[str, str], wanted: str) -> UnavailableError:
    named = environment.get("KUBECONFIG")
    lost = f" KUBECONFIG names {named!r}, which is not there." if named else ""
    forced = f" ({VARIABLE}={wanted} allows no other way)" if wanted else ""
    return UnavailableError(
        f"No cluster is known{forced}.{lost}",
        hint="Set ARGO_SERVER (host:port) and ARGO_TOKEN for an Argo server, or KUBECONFIG for the "
        "Kubernetes API: `gcloud container clusters get-credentials NAME` writes ~/.kube/config.",
    )
