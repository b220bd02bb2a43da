"""Paths of all artifacts, and the command line of each step: the same on a laptop and a cluster.

A path is a plain string, a local one or ``gs://bucket/prefix``. The compiler passes
``{{placeholders}}`` where the local runner passes values. Nothing here reads or writes files.
"""

from __future__ import annotations

from steps.contract.base import (
    COMPARISON_VERSION,
    LOCK,
    RESULTS_VERSION,
    SPLIT_VERSION,
    TRAIN_VERSION,
    join,
)
from steps.contract.command import (
    BASE_OUTPUT,
    LARGER_CLASS_EXIT_BASE,
    LARGER_CLASS_EXITS,
    MAX_CLASSES,
    MAX_REFUSED,
    OUTPUTS,
    Step,
    output,
    shard_name,
    shard_number,
    shards_output,
    step_command,
)
from steps.contract.dataset import (
    BuildLayout,
    DatasetLayout,
)
from steps.contract.members import (
    RunMembers,
    cache_key_of,
    comparison_member,
    explanation_member,
    final_model_member,
    fit_member,
    fold_models_member,
    is_model,
    model_card_member,
    run_of,
    skip_member,
)
from steps.contract.old_results import OldResultsLayout
from steps.contract.project import (
    ProjectLayout,
    RunAddress,
)
from steps.contract.results import (
    CacheLayout,
    RunLayout,
)

__all__ = [
    "BASE_OUTPUT",
    "COMPARISON_VERSION",
    "LARGER_CLASS_EXITS",
    "LARGER_CLASS_EXIT_BASE",
    "LOCK",
    "MAX_CLASSES",
    "MAX_REFUSED",
    "OUTPUTS",
    "RESULTS_VERSION",
    "SPLIT_VERSION",
    "TRAIN_VERSION",
    "BuildLayout",
    "CacheLayout",
    "DatasetLayout",
    "OldResultsLayout",
    "ProjectLayout",
    "RunAddress",
    "RunLayout",
    "RunMembers",
    "Step",
    "cache_key_of",
    "comparison_member",
    "explanation_member",
    "final_model_member",
    "fit_member",
    "fold_models_member",
    "is_model",
    "join",
    "model_card_member",
    "output",
    "run_of",
    "shard_name",
    "shard_number",
    "shards_output",
    "skip_member",
    "step_command",
]
