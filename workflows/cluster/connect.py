"""Connect to the cluster that the environment configures, as for Argo's CLI and kubectl."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from steps.errors import UnavailableError, UsageError
from workflows.cluster.base import Cluster

VARIABLE = "REFEED_CLUSTER"
"""Variable that chooses an adapter if both are configured: argo or kubernetes."""

_SERVICE_HOST = "KUBERNETES_SERVICE_HOST"
_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def connect(environment: Mapping[str, str]) -> Cluster:
    """Return the cluster that the environment configures, without sending a request.

    An Argo server (``ARGO_SERVER``) takes precedence over a kubeconfig (``KUBECONFIG``, or the one
    in the home folder), and a kubeconfig over the service account of the current pod.

    Raises:
        UnavailableError: the environment configures no cluster.
        UsageError: the value of ``REFEED_CLUSTER`` is unknown.
    """
    adapter = environment.get(VARIABLE, "")
    if adapter not in {"", *_ADAPTERS}:
        raise UsageError(
            f"{VARIABLE} is {adapter!r}. It must be one of {', '.join(sorted(_ADAPTERS))}.",
            hint="Or unset it: Refeed then uses the Argo server if ARGO_SERVER is set, and "
            "otherwise the Kubernetes API.",
        )
    for name, open_adapter in _ADAPTERS.items():
        cluster = open_adapter(environment) if adapter in {"", name} else None
        if cluster is not None:
            return cluster
    path = environment.get("KUBECONFIG")
    missing = f" KUBECONFIG is {path!r}, which does not exist." if path else ""
    forced = f" for {VARIABLE}={adapter}" if adapter else ""
    raise UnavailableError(
        f"No cluster is configured{forced}.{missing}",
        hint="For an Argo server, set ARGO_SERVER (host:port) and ARGO_TOKEN. For the Kubernetes "
        "API, create ~/.kube/config (on GKE: `gcloud container clusters get-credentials NAME`), or "
        "set KUBECONFIG to another file.",
    )


def _argo(environment: Mapping[str, str]) -> Cluster | None:
    if not environment.get("ARGO_SERVER"):
        return None
    return _create("workflows.cluster.argo_server", "ArgoServer", "from_environment", environment)


def _kubernetes(environment: Mapping[str, str]) -> Cluster | None:
    module, name = "workflows.cluster.kubernetes_api", "KubernetesApi"
    home = Path(environment.get("HOME") or Path.home())
    paths = environment.get("KUBECONFIG") or str(home / ".kube" / "config")
    existing = [path for path in paths.split(os.pathsep) if path and Path(path).is_file()]
    if existing:
        return _create(module, name, "from_kubeconfig", os.pathsep.join(existing))
    if environment.get(_SERVICE_HOST) and _TOKEN.is_file():
        return _create(module, name, "in_cluster", environment)
    return None


_ADAPTERS: dict[str, Callable[[Mapping[str, str]], Cluster | None]] = {
    "argo": _argo,
    "kubernetes": _kubernetes,
}


def _create(module: str, name: str, constructor: str, argument: object) -> Cluster:
    """Import and create an adapter, so that Argo users need no Kubernetes client."""
    try:
        adapter: Any = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        message = f"Connecting to a cluster requires the module {error.name}. It is not installed."
        hint = "Install it with `pip install 'refeed[argo]'`."
        raise UnavailableError(message, hint=hint) from error
    cluster: Cluster = getattr(adapter, constructor)(argument)
    return cluster
