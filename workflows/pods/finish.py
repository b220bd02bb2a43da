"""The exit handler: record the end of a run that failed, and notify the webhook."""

from __future__ import annotations

import base64
import http.client
import importlib
import json
import os
import re
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from steps.collect.outcome import Outcome
from steps.contract import RunAddress
from steps.errors import MissingInputError, SpecError, TransientError, UsageError
from steps.records import RunRecord
from steps.storage.base import Storage, read_parsed, storage_for
from steps.stores.base import open_store
from workflows.planning.run_files import now
from workflows.pods import environment as env
from workflows.pods.check import run_id
from workflows.pods.pod import find, new_record
from workflows.spec.model import ExperimentSpec

_TIMEOUT_SECONDS = 20
_STOPPED = re.compile("(Stopped|workflow shutdown) with strategy")
"""Argo's message about a node of a Workflow that a user stops; the latter for a pending pod."""
_NO_REASONS = {"", "retryStrategy.expression evaluated to false", "No more retries left"}
"""Argo's messages about nodes that failed with their last pod, which has the reason."""
_FAILED_NODE = re.compile(
    r'\\*"displayName\\*": ?\\*"(?P<displayName>[^"\\]*)\\*", ?'
    r'\\*"message\\*": ?\\*"(?P<message>[^"\\]*)'
)
_TRANSIENT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


def finish(root: str, project: str, experiment: str) -> None:
    """Close the record of a run whose workflow has ended, and post to the webhook, if any.

    Raises:
        TransientError: the webhook failed temporarily.
        UsageError: the webhook rejected the message.
    """
    try:
        run = run_id(os.environ)
    except SpecError:  # the form's value is not valid, so use the id of a new run
        run = env.run_id_of(os.environ[env.WORKFLOW], os.environ[env.CREATED])
    address = RunAddress(root, project, experiment, run)
    env.check_isolation(os.environ, project, root)
    layout, storage = address.run_layout, storage_for(root)
    run_exists = storage.exists(layout.spec)
    if run_exists and not storage.exists(layout.workflow(os.environ[env.WORKFLOW])):
        # The check step did not let this workflow resume the run. The record describes this
        # workflow, not the run, so it is not stored.
        reason = _reason(_failures()) or "The run could not be resumed."
        record = replace(new_record(address), status="failed", message=reason)
        message = compose(address, record, None)
    else:
        record = _close(address, os.environ[env.STATUS])
        _cancel_split(address, storage)
        outcome = None
        with suppress(MissingInputError):  # collect did not run
            outcome = read_parsed(storage, layout.outcome, Outcome.from_json)
        message = compose(address, record, outcome)
    sys.stdout.write(f"{message['text']}\n")
    if os.environ.get(env.WEBHOOK):
        post(os.environ[env.WEBHOOK], message)


def _close(address: RunAddress, status: str) -> RunRecord:
    """Return the run's record, ended if no step could write its end.

    A step that was killed leaves a stopped run. A run whose first pod never started has failed,
    unless somebody stopped it.
    """
    store = open_store(address.layout, env.Platform.read(os.environ).store)
    known = find(store, address)
    record = known or new_record(address)
    if record.status == "running" and status != "Succeeded":
        failures = _failures()
        is_stopped = known or any(_STOPPED.search(each) for each in failures)
        record = replace(
            record,
            status="stopped" if is_stopped else "failed",
            ended=now(),
            message=_reason(failures) or status,
        )
        store.put(record)
    return record


def _cancel_split(address: RunAddress, storage: Storage) -> None:
    """Cancel the Dataflow jobs of a split that did not finish, if only this run uses them."""
    layout = address.run_layout
    if storage.exists(layout.request) or not storage.exists(layout.spec):
        return
    spec = read_parsed(storage, layout.spec, ExperimentSpec.model_validate_json)
    if spec.split.engine == "dataflow":
        jobs = importlib.import_module(
            "steps.split.coordination.cancel"
        )  # with a client that few runs need
        for name in jobs.cancel_jobs(address, storage):
            sys.stdout.write(f"Cancelled the Dataflow job {name}, which no run waits for.\n")


def _failures() -> list[str]:
    """Return Argo's messages about the failed nodes, the node that ended first at the start.

    Argo lists them in random order.
    """
    text = base64.b64decode(os.environ.get(env.FAILURES, "")).decode(errors="replace")
    try:
        nodes = json.loads(json.loads(text)) if text.startswith('"') else json.loads(text or "[]")
    except ValueError:  # truncated, since very many nodes failed
        nodes = [match.groupdict() for match in _FAILED_NODE.finditer(text)]
    nodes = sorted(
        nodes or [], key=lambda node: (node.get("finishedAt") or "", node["displayName"])
    )
    return [
        f"{each['displayName']}: {each['message']}"
        for each in nodes
        if each["message"] not in _NO_REASONS
    ]


def _reason(failures: list[str]) -> str:
    """Return the beginning of the messages, on one line."""
    return "; ".join(failures)[:500]


def compose(address: RunAddress, record: RunRecord, outcome: Outcome | None) -> dict[str, Any]:
    """Return the message for the webhook: a text, and the same information as fields."""
    late = os.environ.get(env.STATUS) == "Succeeded"
    hours = float(os.environ.get(env.DURATION) or 0) / 3600
    verb = f"took {hours:.1f} h" if late else "failed"
    counts, report = (outcome.counts, outcome.report) if outcome else (record.counts, "")
    name = f"{address.project}/{address.experiment} {address.run}"
    summary = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    lines = [f"Run {name} {verb}.", record.message, summary, report and f"Report: {report}"]
    return {
        "text": "\n".join(filter(None, lines)),
        "project": address.project,
        "experiment": address.experiment,
        "run": address.run,
        "status": "late" if late else record.status,
        "workflow": os.environ[env.WORKFLOW],
        "message": record.message,
        "counts": counts,
        "report": report,
        "folder": address.run_layout.base,
    }


def post(url: str, message: dict[str, Any]) -> None:
    """Post JSON to a webhook. The URL is a secret, so no error contains it.

    Raises:
        UsageError: the URL is not an HTTP URL, or the webhook rejected the message.
        TransientError: the webhook failed temporarily.
    """
    url = url.strip()
    if not url.startswith(("https://", "http://")) or not url.isprintable() or " " in url:
        raise UsageError(
            "The webhook's URL in the Secret is not an http:// or https:// URL.",
            hint="Store a valid one in the Secret refeed-notify: see docs/platform/operate.md.",
        )
    body = json.dumps(message).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "refeed"}
    try:
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - checked above
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        error.close()  # closes the connection
        transient = error.code in _TRANSIENT or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR
        kind = TransientError if transient else UsageError
        raise kind(f"The webhook rejected the message with status {error.code}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", type(error).__name__)
        raise TransientError(
            f"The notification could not be sent: the webhook cannot be reached ({reason})."
        ) from None
