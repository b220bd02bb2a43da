"""Attacks that a trainer's code could attempt from its pod; prints each result as JSON.

Runs in a pod, alone: it imports the standard library only. Each attempt is answered by a status of
HTTP, an error's name, or what it got.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SERVER = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
OTHER, OWN = sys.argv[1], sys.argv[2]
TOKENS = ("/var/run/secrets/kubernetes.io/serviceaccount/token", "/var/run/secrets/tokens")


def api(path: str, body: Any = None) -> str:
    """Send a request to the API server, with this pod's token, if any."""
    headers = {"Content-Type": "application/json"}
    token = Path(TOKENS[0])
    if token.is_file():
        headers["Authorization"] = f"Bearer {token.read_text()}"
    content = json.dumps(body).encode() if body else None
    request = urllib.request.Request(SERVER + path, content, headers)
    trusting = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(request, timeout=5, context=trusting) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError as error:
        return type(error).__name__


def metadata() -> str:
    """Request the node's credentials from Google's metadata server."""
    try:
        with socket.create_connection(("169.254.169.254", 80), timeout=3):
            return "connected"
    except OSError as error:
        return type(error).__name__


def write(path: str) -> str:
    try:
        Path(path).write_text("here")
    except OSError as error:
        return type(error).__name__
    return "written"


def become_root() -> str:
    try:
        os.setuid(0)
    except OSError as error:
        return type(error).__name__
    return "root"


def refeed(root: str) -> str:
    """Run a step at another project's root."""
    words = ["step", "collect", "--root", root, "--project", "demo", "--experiment", "x"]
    done = subprocess.run(
        ["refeed", *words, "--run", "20260101T000000-abcd"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{done.returncode} {done.stderr}"


def main() -> None:
    pods = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}}
    argo = "/apis/argoproj.io/v1alpha1/namespaces"
    found = {
        "tokens": [path for path in TOKENS if Path(path).exists()],
        "secrets of another": api(f"/api/v1/namespaces/{OTHER}/secrets"),
        "workflows of another": api(f"{argo}/{OTHER}/workflows"),
        "logs of another": api(f"/api/v1/namespaces/{OTHER}/pods/x/log"),
        "own secrets": api(f"/api/v1/namespaces/{OWN}/secrets"),
        "own workflows": api(f"{argo}/{OWN}/workflows"),
        "pods here": api(f"/api/v1/namespaces/{OWN}/pods", pods),
        "pods there": api(f"/api/v1/namespaces/{OTHER}/pods", pods),
        "nodes": api("/api/v1/nodes"),
        "metadata": metadata(),
        "root file system": write("/usr/here"),
        "image": write("/opt/refeed/here"),
        "root": become_root(),
        "another root": refeed("gs://refeed-demo"),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
