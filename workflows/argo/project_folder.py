"""A project's folder among the cluster's manifests: made from the installation file and its specs.

Layout of ``<overlay>/projects/<name>/``::

    kustomization.yaml   its owner's own: patches of quotas and the like; written once
    project.yaml         what Argo CD makes its Application of
    generated/           what the installation file says of it, as a component of the above
    experiments/         specs, its owner's own
    workflows/           the specs compiled, which Argo CD brings to the cluster

All but the owner's own is a function of the installation file and the specs, so that it can be made
anew at any time, and a check tells what is stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from steps.errors import MissingInputError, Problem, SpecError
from workflows.argo.compile import Kind, compile_spec, to_yaml
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
    """Where a project's manifests lie.

    Attributes:
        overlay: of the cluster, such as ``manifests/overlays/gke``.
        name: of the project.
    """

    overlay: Path
    name: str

    @property
    def path(self) -> Path:
        """The folder."""
        return self.overlay / "projects" / self.name

    @property
    def specs(self) -> list[Path]:
        """Of its experiments, by name."""
        return sorted((self.path / "experiments").glob("*.yaml"))


def folders(overlay: Path) -> list[ProjectFolder]:
    """The projects of an overlay, by name.

    Raises:
        MissingInputError: it is no overlay.
    """
    if not (overlay / "kustomization.yaml").is_file():
        raise MissingInputError(
            f"{str(overlay)!r} is no overlay: there is no kustomization.yaml in it.",
            hint="manifests/overlays/gke and manifests/overlays/local are some.",
        )
    found = (path.parent.name for path in (overlay / "projects").glob("*/kustomization.yaml"))
    return [ProjectFolder(overlay, name) for name in sorted(found)]


def platform_files(overlay: Path, installation: Installation) -> dict[Path, str]:
    """What the installation file says of Argo Workflows, for an overlay that installs it.

    Raises:
        MissingInputError: its manifests do not say which version they are of.
    """
    folder = overlay / "argo-workflows"
    if not folder.is_dir():
        return {}
    made = _argo(installation.argo, _argo_version(overlay.parents[1] / "argo-workflows"))
    return {folder / "generated" / "kustomization.yaml": _yaml(made)}


def _argo_version(folder: Path) -> str:
    """The tag of Argo's images in its manifests."""
    path = folder / "kustomization.yaml"
    found = yaml.safe_load(path.read_text(encoding="utf-8")).get("images", [])
    tags = {str(each["newTag"]) for each in found}
    if len(tags) != 1:
        raise MissingInputError(f"{path} has images of {len(tags)} versions: one is needed.")
    return tags.pop()


def _argo(argo: Argo, version: str) -> dict[str, Any]:
    home = argo.images or _ARGO_IMAGES
    executor = f"--executor-image={home}/argoexec:{version}"
    change = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": executor}]
    controller = {"kind": "Deployment", "name": "workflow-controller"}
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "images": [
            {"name": f"{_ARGO_IMAGES}/{name}", "newName": f"{home}/{name}"}
            for name in ("workflow-controller", "argocli")
        ],
        "patches": [
            {"target": controller, "patch": _yaml_text(change)},
            *({"patch": _yaml_text(each)} for each in _acting_as("argo-server", argo.account)),
        ],
    }


def _acting_as(name: str, account: str | None) -> Iterator[dict[str, Any]]:
    """A service account's patch: who it is in Google Cloud."""
    if account:
        annotations = {"iam.gke.io/gcp-service-account": account}
        metadata = {"name": name, "annotations": annotations}
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def add(folder: ProjectFolder, installation: Installation) -> list[Path]:
    """Begin a project's folder, and write what is generated; what its owner wrote stays.

    Returns:
        The files that were written.

    Raises:
        SpecError: the installation has no such project, or a spec does not fit it.
    """
    files = rendered(folder, installation)
    begun = {folder.path / "kustomization.yaml": _OWN.format(name=folder.name)}
    files |= {path: text for path, text in begun.items() if not path.exists()}
    (folder.path / "experiments").mkdir(parents=True, exist_ok=True)
    return [*write(folder.path, files), *_listed(folder)]


def write(folder: Path, files: dict[Path, str]) -> list[Path]:
    """Write what has changed, and remove what nothing makes any more; the paths of both."""
    changed = stale(folder, files)
    for path in changed:
        if path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    return changed


def stale(folder: Path, files: dict[Path, str]) -> list[Path]:
    """Files below a folder that are missing, say something else, or that nothing makes any more."""
    there = {path for name in ("generated", "workflows") for path in _files(folder / name)}
    differ = {path for path, text in files.items() if _text(path) != text}
    return sorted(differ | (there - files.keys()))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _listed(folder: ProjectFolder) -> list[Path]:
    """Name the project in the overlay, for who applies it without Argo CD."""
    path, line = folder.overlay / "kustomization.yaml", f"  - projects/{folder.name}\n"
    text = path.read_text(encoding="utf-8")
    if line in text:
        return []
    path.write_text(text.rstrip("\n") + "\n" + line, encoding="utf-8")
    return [path]


def rendered(folder: ProjectFolder, installation: Installation) -> dict[Path, str]:
    """All generated files of a project, by path.

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
        folder.path / "project.yaml": _yaml({"name": folder.name, "namespace": project.namespace}),
        folder.path / "generated" / "kustomization.yaml": _yaml(_component(folder.name, project)),
        folder.path / "workflows" / "kustomization.yaml": _yaml(_workflows(project, objects)),
        **compiled,
    }


def _compiled(folder: ProjectFolder, installation: Installation) -> Iterator[tuple[Path, str]]:
    for source in folder.specs:
        loaded = load_spec(source)
        if loaded.spec.project != folder.name:
            raise loaded.locate(_stray(folder.name, loaded.spec.project))
        kinds: list[Kind] = ["workflow-template"]
        kinds += ["cron-workflow"] if loaded.spec.schedule else []
        for kind in kinds:
            try:
                manifest = compile_spec(loaded.spec, installation, kind)
            except SpecError as error:
                raise loaded.locate(error) from None
            path = folder.path / "workflows" / f"{source.stem}.{kind}.yaml"
            yield path, to_yaml(manifest, source.name)


def _stray(project: str, named: str) -> SpecError:
    message = f"{named!r} is not the project in whose folder the spec lies, {project!r}"
    hint = f"Name {project} there, or move the spec."
    return SpecError("the spec", [Problem("project", message, hint)])


def _yaml(content: dict[str, Any]) -> str:
    return _HEAD + yaml.safe_dump(content, sort_keys=False, width=100)


def _component(name: str, project: Project) -> dict[str, Any]:
    """What the installation says of a project."""
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
    """Who the pods are in Google Cloud, and whose groups may run workflows."""
    for step in _STEPS:
        yield from _acting_as(f"refeed-{step}", getattr(project.identities, step))
    if project.analysts:
        group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group"}
        # With its namespace: kustomize fills it in for a binding, not for a patch of one.
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
