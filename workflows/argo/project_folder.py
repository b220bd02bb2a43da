"""Render a project's folder among a cluster's manifests, from the installation file and its specs.

Layout of ``<overlay>/projects/<name>/``::

    kustomization.yaml   edited by the project's owner, such as patches of quotas; written once
    project.yaml         values from which Argo CD creates the project's Application
    generated/           the project's settings in the installation file, as a component
    experiments/         specs, edited by the project's owner
    workflows/           the compiled specs, which Argo CD deploys to the cluster

All other files are a function of the installation file and the specs, so that they can be rendered
again at any time, and a check can report those that are out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from steps.errors import MissingInputError, Problem, SpecError
from workflows.argo.compile import Kind, compile_spec
from workflows.installation.model import Argo, Installation, Project
from workflows.spec.load import load_spec

_HEAD = "# Made by `refeed project render`; do not edit.\n"
_OWN = """\
# The project {name}. Patches of quotas and the like are its owner's own and go here.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../../../project]
components: [../../common, generated]
"""
_STEPS = ("split", "train", "collect")
_ARGO_IMAGES = "quay.io/argoproj"


@dataclass(frozen=True)
class ProjectFolder:
    """The folder of a project's manifests.

    Attributes:
        overlay: the cluster's overlay, such as ``manifests/overlays/gke``.
        name: name of the project.
    """

    overlay: Path
    name: str

    @property
    def path(self) -> Path:
        """Path of the folder."""
        return self.overlay / "projects" / self.name

    @property
    def specs(self) -> list[Path]:
        """Paths of the specs of its experiments, sorted."""
        return sorted((self.path / "experiments").glob("*.yaml"))


def folders(overlay: Path) -> list[ProjectFolder]:
    """Return the project folders of an overlay, sorted by name.

    Raises:
        MissingInputError: the folder is not an overlay.
    """
    if not (overlay / "kustomization.yaml").is_file():
        raise MissingInputError(
            f"{str(overlay)!r} is not an overlay: it has no kustomization.yaml.",
            hint="Set an overlay such as manifests/overlays/gke or manifests/overlays/local.",
        )
    names = (path.parent.name for path in (overlay / "projects").glob("*/kustomization.yaml"))
    return [ProjectFolder(overlay, name) for name in sorted(names)]


def platform_files(overlay: Path, installation: Installation) -> dict[Path, str]:
    """Return the generated files of Argo Workflows, if the overlay installs it.

    Raises:
        MissingInputError: the version cannot be read from Argo's manifests.
    """
    folder = overlay / "argo-workflows"
    if not folder.is_dir():
        return {}
    version = _argo_version(overlay.parents[1] / "argo-workflows")
    component = _argo_component(installation.argo, version)
    return {folder / "generated" / "kustomization.yaml": _with_head(component)}


def _argo_version(folder: Path) -> str:
    """Return the tag of Argo's images in its manifests."""
    path = folder / "kustomization.yaml"
    images = yaml.safe_load(path.read_text(encoding="utf-8")).get("images", [])
    tags = {str(image["newTag"]) for image in images}
    if len(tags) != 1:
        raise MissingInputError(
            f"{path} has images of {len(tags)} versions. All images must have the same version."
        )
    return tags.pop()


def _argo_component(argo: Argo, version: str) -> dict[str, Any]:
    registry = argo.images or _ARGO_IMAGES
    executor = f"--executor-image={registry}/argoexec:{version}"
    change = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": executor}]
    controller = {"kind": "Deployment", "name": "workflow-controller"}
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "images": [
            {"name": f"{_ARGO_IMAGES}/{name}", "newName": f"{registry}/{name}"}
            for name in ("workflow-controller", "argocli")
        ],
        "patches": [
            {"target": controller, "patch": _yaml_text(change)},
            *({"patch": _yaml_text(each)} for each in _identity("argo-server", argo.account)),
        ],
    }


def _identity(name: str, account: str | None) -> Iterator[dict[str, Any]]:
    """Yield a patch that maps a Kubernetes service account to a Google service account, if any."""
    if account:
        annotations = {"iam.gke.io/gcp-service-account": account}
        metadata = {"name": name, "annotations": annotations}
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def add(folder: ProjectFolder, installation: Installation) -> list[Path]:
    """Create a project's folder and write its generated files; keep the owner's files.

    Returns:
        The files that were written.

    Raises:
        SpecError: the installation has no such project, or a spec does not fit it.
    """
    files = rendered(folder, installation)
    kustomization = folder.path / "kustomization.yaml"
    if not kustomization.exists():
        files[kustomization] = _OWN.format(name=folder.name)
    (folder.path / "experiments").mkdir(parents=True, exist_ok=True)
    return [*write(folder.path, files), *_add_to_overlay(folder)]


def write(folder: Path, files: dict[Path, str]) -> list[Path]:
    """Write changed files and remove files that are no longer generated; return their paths."""
    changed = stale(folder, files)
    for path in changed:
        if path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    return changed


def stale(folder: Path, files: dict[Path, str]) -> list[Path]:
    """Return the files below a folder that are missing, changed or no longer generated."""
    existing = {
        path
        for name in ("generated", "workflows")
        for path in (folder / name).rglob("*")
        if path.is_file()
    }
    changed = {path for path, text in files.items() if _text(path) != text}
    return sorted(changed | (existing - files.keys()))


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _add_to_overlay(folder: ProjectFolder) -> list[Path]:
    """Add the project to the overlay's kustomization, for deployment without Argo CD."""
    path, line = folder.overlay / "kustomization.yaml", f"  - projects/{folder.name}\n"
    text = path.read_text(encoding="utf-8")
    if line in text:
        return []
    path.write_text(text.rstrip("\n") + "\n" + line, encoding="utf-8")
    return [path]


def rendered(folder: ProjectFolder, installation: Installation) -> dict[Path, str]:
    """Return all generated files of a project, by path.

    Raises:
        SpecError: the installation has no such project, or a spec does not fit it.
    """
    project = installation.projects.get(folder.name)
    if project is None:
        known = ", ".join(installation.projects)
        message = f"the installation has no project {folder.name!r}"
        raise SpecError("the installation", [Problem("projects", message, f"It has {known}.")])
    compiled = dict(_compiled(folder, installation))
    objects = [path.name for path in compiled]
    return {
        folder.path / "project.yaml": _with_head(
            {"name": folder.name, "namespace": project.namespace}
        ),
        folder.path / "generated" / "kustomization.yaml": _with_head(
            _component(folder.name, project)
        ),
        folder.path / "workflows" / "kustomization.yaml": _with_head(_workflows(project, objects)),
        **compiled,
    }


def _compiled(folder: ProjectFolder, installation: Installation) -> Iterator[tuple[Path, str]]:
    for source in folder.specs:
        loaded = load_spec(source)
        if loaded.spec.project != folder.name:
            message = f"{loaded.spec.project!r} is not the project of this folder, {folder.name!r}"
            hint = f"Set it to {folder.name}, or move the spec."
            problem = Problem("project", message, hint)
            raise loaded.locate(SpecError("the spec", [problem]))
        kinds: list[Kind] = ["workflow-template"]
        kinds += ["cron-workflow"] if loaded.spec.schedule else []
        for kind in kinds:
            try:
                manifest = compile_spec(loaded.spec, installation, kind)
            except SpecError as error:
                raise loaded.locate(error) from None
            path = folder.path / "workflows" / f"{source.stem}.{kind}.yaml"
            yield path, to_yaml(manifest, source.name)


def _with_head(content: dict[str, Any]) -> str:
    return _HEAD + yaml.safe_dump(content, sort_keys=False, width=100)


def _component(name: str, project: Project) -> dict[str, Any]:
    """Return the component with the project's settings in the installation file."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "namespace": project.namespace,
        "configMapGenerator": [
            {
                "name": "refeed-project",
                "behavior": "merge",
                "literals": [f"project={name}", f"root={project.root}"],
            }
        ],
        "patches": [{"patch": _yaml_text(each)} for each in _patches(project)],
    }


def _patches(project: Project) -> Iterator[dict[str, Any]]:
    """Yield patches with the pods' Google service accounts and the groups of analysts."""
    for step in _STEPS:
        yield from _identity(f"refeed-{step}", getattr(project.identities, step))
    if project.analysts:
        group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group"}
        # kustomize adds the namespace to a binding, but not to a patch of one.
        account = {"kind": "ServiceAccount", "name": "refeed-analyst"}
        account["namespace"] = project.namespace
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "refeed-analyst"},
            "subjects": [account, *({**group, "name": each} for each in project.analysts)],
        }


def _yaml_text(content: object) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=100)


def _workflows(project: Project, objects: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": project.namespace,
        "resources": objects,
    }
