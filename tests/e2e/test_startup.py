"""Runs whose pods the cluster refuses, cannot start or ends: all are seen, explained and ended."""

from __future__ import annotations

import base64
import datetime as dt
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.kubectl import needs_cluster, run_kubectl
from tests.e2e.partitions import healthy, rows_of, table_of
from tests.e2e.platform import (
    NAMESPACE,
    Platform,
    installation,
    wait_until,
    workflow,
    workflows_of,
)

pytestmark = needs_cluster
REASON = '[require-team-label] you must provide labels: {"team"}'


def apply(folder: Path, *manifests: dict[str, Any]) -> None:
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump_all(manifests))
    run_kubectl("apply", "-f", str(path))


@contextmanager
def policy(name: str, folder: Path) -> Iterator[str]:
    """A policy of the cluster that refuses the pods of one experiment."""
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}]
    rules[0]["resources"] = ["pods"]
    own = f"!object.metadata.name.startsWith('{name}-')"
    group = "admissionregistration.k8s.io/v1"
    apply(
        folder,
        {
            "apiVersion": group,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": rules},
                "validations": [{"expression": own, "message": REASON}],
            },
        },
        {
            "apiVersion": group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    )
    try:
        yield "ValidatingAdmissionPolicy"
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            run_kubectl("delete", kind, name)


class Deny(BaseHTTPRequestHandler):
    """A webhook that refuses every object."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = {"code": 403, "message": REASON}
        answer = {"uid": review["request"]["uid"], "allowed": False, "status": status}
        kind = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({**kind, "response": answer}).encode())

    def log_message(self, *_: object) -> None: ...


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of this machine that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "deny.example.com")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@contextmanager
def webhook(name: str, folder: Path) -> Iterator[str]:
    """An admission webhook that refuses the pods of one experiment."""
    cert, key = certificate(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Deny)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    bundle = base64.b64encode(cert.read_bytes()).decode()
    apply(
        folder,
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [
                {
                    "name": "deny.example.com",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "clientConfig": {
                        "url": f"https://localhost:{server.server_port}/deny",
                        "caBundle": bundle,
                    },
                    "rules": [{**rule, "resources": ["pods"]}],
                    "matchConditions": [
                        {
                            "name": "own",
                            "expression": f"object.metadata.name.startsWith('{name}-')",
                        }
                    ],
                }
            ],
        },
    )
    try:
        yield "'deny.example.com' refuses the pods of check"
    finally:
        run_kubectl("delete", "validatingwebhookconfiguration", name)
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("refusal", [webhook, policy])
def test_a_refused_run_is_seen_stopped_and_retried(
    refusal: Any, platform: Platform, name: str, tmp_path: Path
) -> None:
    source = platform.source(table_of(healthy(2)), name)
    spec = platform.spec(name, source)
    with refusal(name, tmp_path) as words:
        time.sleep(5)  # a policy takes a moment to take effect
        address = platform.start_run(spec)
        began = time.monotonic()
        problems = wait_until("a problem", lambda: problems_of(platform, address.run), 60)
        assert time.monotonic() - began < 60
        assert words in problems[0]
        assert REASON in problems[0]
        listed = platform.refeed("status", "--json").json["runs"]
        (found,) = [each for each in listed if each["run"] == address.run]
        assert (found["status"], found["experiment"]) == ("waiting", name)
        logs = platform.refeed("logs", address.run)
        assert logs.code == 0
        assert REASON in logs.err
        made = platform.refeed("stop", address.run, "--json").json["workflow"]
        wait_until("the end", lambda: workflow(made)["status"].get("phase") == "Failed", 180)
        status = platform.refeed("status", address.run, "--json").json
        assert status["status"] == "stopped"
    retried = platform.refeed("retry", address.run, "--json")
    assert retried.code == 0, retried.err
    assert retried.json["run"] == address.run
    assert retried.json["counts"]["trained"] == 2


def problems_of(platform: Platform, run: str) -> list[str]:
    found: list[str] = platform.refeed("status", run, "--json").json["problems"]
    return found


def test_a_run_of_a_missing_image_is_seen_and_stopped(
    platform: Platform, name: str, tmp_path: Path
) -> None:
    source = platform.source(table_of(healthy(1)), name)
    spec = platform.spec(name, source)
    made = installation(platform.endpoint)
    made["trainers"]["faulty"] = {"image": "docker.io/refeed/nothing:dev"}
    other = tmp_path / "installation.yaml"
    other.write_text(yaml.safe_dump(made, sort_keys=False))
    address = platform.start_run(spec, "--installation", str(other))
    (problem,) = wait_until("a problem", lambda: problems_of(platform, address.run), 60)
    assert "The image 'docker.io/refeed/nothing:dev' of check cannot be pulled" in problem
    assert platform.refeed("stop", address.run).code == 0
    (workflow_name,) = workflows_of(name)
    wait_until("the end", lambda: workflow(workflow_name)["status"].get("phase") == "Failed", 120)
    status = platform.refeed("status", address.run, "--json").json
    assert status["status"] == "stopped"
    retried = platform.refeed("retry", address.run, "--json")  # with the platform's own image
    assert retried.code == 0, retried.err
    assert retried.json["run"] == address.run


def test_a_partition_that_fills_the_disk_fails_and_the_others_train(
    platform: Platform, name: str
) -> None:
    """The kubelet measures once a minute; small pods may use a GiB."""
    source = platform.source(table_of(["fills disk", *healthy(3)]), name)
    changes = {"execution__classes": ["small"], "execution__max_failed_fraction": 0.5}
    spec = platform.spec(name, source, **changes)
    result = platform.submit(spec)
    assert result.json["counts"] == {"trained": 3, "skipped": 0, "failed": 1}
    assert result.json["reasons"] == {"out_of_disk": 1}
    assert result.json["attempts"]["disk"] == 2  # with the others, and alone
    assert "used more disk" in str(rows_of(result.json["folder"])["fills disk"]["message"])
    pods = platform.pods(platform.address(spec, result.json["run"]), "train")
    assert [each.cause for each in pods] == ["disk", "disk", "done"]


def test_namespace_has_room_for_disks() -> None:
    quota = json.loads(
        run_kubectl("-n", NAMESPACE, "get", "resourcequota", "refeed-project", "-o", "json")
    )
    assert quota["status"]["hard"]["requests.ephemeral-storage"] == "60Gi"
