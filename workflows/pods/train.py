"""The train step in a pod: train one shard."""

from __future__ import annotations

import os
import signal

from steps.contract import RunAddress, shard_name
from steps.runtime.pod_end import DISK
from steps.train.workers.server import start_server
from workflows.pods import environment as env
from workflows.pods.pod import open_pod
from workflows.pods.progress import PodProgress


def train_in_pod(address: RunAddress, resource_class: str, shard: str) -> None:
    """Train the remaining partitions of a shard.

    Args:
        address: address of the run.
        resource_class: the shard's own resource class; the pod's may be larger.
        shard: number of the shard, with leading zeros.

    Raises:
        RefeedError: see ``steps.train.step.train``.
    """
    name = shard_name(resource_class, shard)
    with open_pod(address, "train", name) as pod:
        start_server(pod.context.request().trainer["name"], address.root)
        # Both processes load libraries for a second: at the same time, if this one waits till now.
        from steps.train.step import TrainLimits, train  # noqa: PLC0415
        from steps.train.workers.pool import Stop  # noqa: PLC0415

        classes = pod.platform.classes
        own = [each.name for each in classes].index(resource_class)
        offset = int(os.environ.get(env.CLASS_OFFSET) or 0)
        # A partition that fills the disk is tried once with others, and alone in each class.
        evictions = pod.too_many_evictions(DISK, len(classes) - own)
        limits = TrainLimits(
            workers=classes[own + offset].workers,
            class_offset=offset,
            largest_class_offset=len(classes) - 1 - own,
            can_retry_later=pod.has_retries_left,
            previous_end=pod.ledger.previous_end,
            evicted=pod.ledger.evicted,
            evictions=evictions,
        )
        stop = Stop()
        signal.signal(signal.SIGTERM, stop.ask)
        train(address, name, limits, PodProgress(pod.ledger), pod.log, stop)
