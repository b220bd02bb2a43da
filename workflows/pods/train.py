"""The train step in a pod: one shard."""

from __future__ import annotations

import os
import signal

from steps.contract import RunAddress
from steps.train.step import TrainLimits, train
from steps.train.workers.pool import Stop
from workflows.pods import environment as env
from workflows.pods.pod import pod
from workflows.pods.progress import PodProgress


def train_in_pod(address: RunAddress, resource_class: str, shard: str) -> None:
    """Train what is left of a shard.

    Args:
        address: of the run.
        resource_class: the shard's own resource class; the pod's may be larger.
        shard: its number, with leading zeros.

    Raises:
        RefeedError: see ``steps.train.step.train``.
    """
    name = f"{resource_class}-{shard}"
    with pod(address, f"train-{name}") as here:
        classes = here.platform.classes
        names = [each.name for each in classes]
        own = names.index(resource_class)
        step = int(os.environ.get(env.CLASS_OFFSET) or 0)
        means = TrainLimits(
            workers=classes[own + step].workers,
            class_offset=step,
            largest_class_offset=len(classes) - 1 - own,
            can_retry_later=here.budget_left,
            killed_for_memory=here.ledger.killed_for_memory,
        )
        stop = Stop()
        signal.signal(signal.SIGTERM, stop.ask)
        train(address, name, means, PodProgress(here.ledger, counts=True), here.log, stop)
