"""The model card: a description that is stored next to the final model."""

from __future__ import annotations

import json

from steps.records import PartitionEntry, RunRequest
from steps.train.evaluation.evaluate import Rows
from steps.train.frame import Frame

_CARD = """\
# Model card

| | |
|---|---|
| Predicts | {target} ({task}{classes}) |
| Of the partition | {partition_by} = {partition} |
| Trained on | {rows} rows, all that have a target |
| From the features | {features} |
| Trainer | {trainer} |
| Parameters | {params} |{fitted}
| Data | content digest {content} |

## How good it is

Judged on held-out rows by models of the same kind ({evaluate}); this model itself has seen all
rows, so no number here is its own.

| metric | value | constant prediction | skill | 90 % interval |
|---|---|---|---|---|
{metrics}

## Input

{input}

The model shows which values occur together, which is not the same as a cause.
"""


def model_card(
    request: RunRequest, entry: PartitionEntry, frame: Frame, metrics: Rows, fitted: str
) -> str:
    """Return the card of a final model as Markdown. It depends on content only.

    Args:
        request: the request of the run.
        entry: the partition.
        frame: its rows.
        metrics: metrics of its fold models.
        fitted: what the fit has chosen; empty for nothing.
    """
    roles = request.roles
    metric_rows = []
    for i, scope in enumerate(metrics["scope"]):
        if scope == "pooled":
            names = ("value", "constant_value", "skill")
            cells = [_number(metrics[name][i]) for name in names]
            bounds = f"{_number(metrics['skill_low'][i])} to {_number(metrics['skill_high'][i])}"
            metric_rows.append(f"| {metrics['metric'][i]} | {' | '.join(cells)} | {bounds} |")
    classes = f"; classes {', '.join(map(_plain, frame.classes))}" if frame.classes else ""
    return _CARD.format(
        target=_plain(roles.target),
        task=request.task,
        classes=classes,
        partition_by=_plain(roles.partition_by),
        # Models are found by content: other partitions with the same rows share the model.
        partition=_plain(entry.key.text),
        rows=len(frame.target),
        features=", ".join(map(_plain, roles.features)),
        trainer=request.trainer["name"],
        params=_plain(json.dumps(request.trainer["params"], sort_keys=True)),
        fitted=f"\n| Chosen by the fit | {_plain(fitted)} |" if fitted else "",
        content=entry.content,
        evaluate=_plain(json.dumps(request.evaluate, sort_keys=True)),
        metrics="\n".join(metric_rows),
        input="\n".join(_inputs(frame)),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _inputs(frame: Frame) -> list[str]:
    """Return a line per column: position, name and, for a category, the level of each code."""
    lines = []
    for i, (name, codes) in enumerate(zip(frame.features.names, frame.codes, strict=True)):
        if codes is None:
            lines.append(f"{i + 1}. {_plain(name)}: number; missing is NaN")
        else:
            levels = json.dumps(codes.names, ensure_ascii=False)
            lines.append(f"{i + 1}. {_plain(name)}: code 0, 1, ... of {_plain(levels)}")
    return lines


def _plain(text: str) -> str:
    """Return text that cannot break out of a Markdown table, and is not read as HTML."""
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return shown.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
