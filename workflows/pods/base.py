"""The base step in a pod: fit the base models of a run."""

from __future__ import annotations

from dataclasses import asdict

from steps.base.step import fit_base
from steps.contract import RunAddress
from workflows.pods.pod import open_pod
from workflows.pods.progress import PodProgress


def base_in_pod(address: RunAddress) -> None:
    """Fit the base models of a run, unless an earlier run has stored them.

    Raises:
        RefeedError: see ``steps.base.step.fit_base``.
    """
    with open_pod(address, "base") as pod:
        own = pod.ledger.record.resource_class
        cpus = {each.name: each.workers for each in pod.platform.classes}
        fitted = fit_base(address, cpus.get(own, 1), PodProgress())
        pod.log.event("base models", **asdict(fitted))
