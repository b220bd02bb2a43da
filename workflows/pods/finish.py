"""The exit handler: closes the books of a run that did not end well, and tells somebody."""

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
from workflows.pods.pod import find, unknown
from workflows.spec.model import ExperimentSpec

_TIMEOUT_SECONDS = 20
_FAILED_NODE = re.compile(
    r'\\*"displayName\\*": ?\\*"(?P<displayName>[^"\\]*)\\*", ?'
    r'\\*"message\\*": ?\\*"(?P<message>[^"\\]*)'
)
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


def finish(root: str, project: str, experiment: str) -> None:
    """Close the record of a run whose workflow has ended, and post to the webhook if there is one.

    Raises:
        TransientError: the webhook did not take it for now.
        UsageError: the webhook refused it.
    """
    address = RunAddress(root, project, experiment, _run())
    env.check_isolation(os.environ, project, root)
    storage = storage_for(root)
    if _was_refused(address, storage):
        message = compose(address, _refusal(address), None)
    else:
        record = _close(address, os.environ[env.STATUS])
        _cancel_split(address, storage)
        message = compose(address, record, _outcome(address, storage))
    sys.stdout.write(f"{message['text']}\n")
    if os.environ.get(env.WEBHOOK):
        post(os.environ[env.WEBHOOK], message)


def _run() -> str:
    """The run's id; if what the form was given is none, the one that a new run would have had."""
    try:
        return run_id(os.environ)
    except SpecError:
        return env.run_id_of(os.environ[env.WORKFLOW], os.environ[env.CREATED])


def _close(address: RunAddress, status: str) -> RunRecord:
    """What the store knows, with an end: a step that was killed could not write it."""
    store = open_store(address.layout, env.Platform.read(os.environ).store)
    known = find(store, address) or unknown(address)
    if known.status == "running" and status != "Succeeded":
        known = replace(known, status="stopped", ended=now(), message=_failures() or status)
        store.put(known)
    return known


def _cancel_split(address: RunAddress, storage: Storage) -> None:
    """End a job of Dataflow that works for this run alone, which will not use what it makes."""
    layout = address.run_layout
    if storage.exists(layout.request) or not storage.exists(layout.spec):
        return
    spec = read_parsed(storage, layout.spec, ExperimentSpec.model_validate_json)
    if spec.split.engine == "dataflow":
        jobs = importlib.import_module(
            "steps.split.coordination.cancel"
        )  # with a client that few runs need
        for name in jobs.cancel_jobs(address, storage):
            sys.stdout.write(f"Cancelled the Dataflow job {name}, which nobody waits for.\n")


def _was_refused(address: RunAddress, storage: Storage) -> bool:
    """Whether the run is another workflow's, and this one was not let go on with it."""
    layout = address.run_layout
    return storage.exists(layout.spec) and not storage.exists(
        layout.workflow(os.environ[env.WORKFLOW])
    )


def _refusal(address: RunAddress) -> RunRecord:
    """To tell, not to keep: what became of the run is not this workflow's end."""
    why = _failures() or "It was not let go on with that run."
    return replace(unknown(address), status="failed", message=why)


def _failures() -> str:
    """What Argo says of the nodes that failed, in one line."""
    text = base64.b64decode(os.environ.get(env.FAILURES, "")).decode(errors="replace")
    try:
        nodes = json.loads(json.loads(text)) if text.startswith('"') else json.loads(text or "[]")
    except ValueError:  # cut off, since very many failed
        nodes = [match.groupdict() for match in _FAILED_NODE.finditer(text)]
    return "; ".join(f"{each['displayName']}: {each['message']}" for each in nodes or [])[:500]


def _outcome(address: RunAddress, storage: Storage) -> Outcome | None:
    try:
        return read_parsed(storage, address.run_layout.outcome, Outcome.from_json)
    except MissingInputError:
        return None  # it did not come to collect


def compose(address: RunAddress, record: RunRecord, outcome: Outcome | None) -> dict[str, Any]:
    """The message: a text for people, and the same for programs."""
    late = os.environ.get(env.STATUS) == "Succeeded"
    what = f"took {float(os.environ.get(env.DURATION) or 0) / 3600:.1f} h" if late else "failed"
    counts, report = (outcome.counts, outcome.report) if outcome else (record.counts, "")
    name = f"{address.project}/{address.experiment} {address.run}"
    summary = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    lines = [f"Run {name} {what}.", record.message, summary, report and f"Report: {report}"]
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
    """Post JSON to a webhook. The URL is a secret: no error shows it.

    Raises:
        UsageError: it is no http URL, or it refused the message.
        TransientError: it did not take the message for now.
    """
    url = url.strip()
    if not url.startswith(("https://", "http://")) or not url.isprintable() or " " in url:
        raise UsageError("The webhook's URL in the secret is no http:// or https:// URL.")
    body = json.dumps(message).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "refeed"}
    try:
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - checked above
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        error.close()  # a refusal is an answer, with its connection
        passing = error.code in _PASSING or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR
        kind = TransientError if passing else UsageError
        raise kind(f"The webhook did not take the message: {error.code}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "reason", type(error).__name__)
        raise TransientError(f"The webhook did not take the message: {why}.") from None
