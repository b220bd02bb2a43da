"""Reading a spec file: YAML with line and column in every error, and ``--set`` overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from steps.errors import SpecError, UsageError
from workflows.spec.model import ExperimentSpec
from workflows.spec.validation_errors import located, problems_of
from workflows.spec.yaml_positions import SourcePosition, parse_yaml, read_text

_HINT = "`refeed init TABLE` writes a spec."


@dataclass(frozen=True)
class LoadedSpec:
    """A spec and where each of its values stands in its file.

    Attributes:
        path: of the file, as it was given.
        spec: the values, with source and output resolved against the file's folder.
        places: line and column, from 1, by dotted path such as ``dataset.features.3``.
        overridden: dotted paths that ``--set`` gave a value, which stands nowhere in the file.
    """

    path: str
    spec: ExperimentSpec
    places: dict[str, SourcePosition]
    overridden: tuple[str, ...] = ()

    def edit(self, changes: Mapping[str, Any]) -> LoadedSpec:
        """Return a copy with other values, which can be run.

        Args:
            changes: values by dotted path, such as ``{"evaluate.folds": 10}``.

        Raises:
            SpecError: a path or value is not valid.
        """
        raw = self.spec.model_dump(mode="json")
        for path, value in changes.items():
            *parents, last = path.split(".")
            inner = raw
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
        try:
            spec = ExperimentSpec.model_validate(raw)
        except ValidationError as error:
            raise SpecError("the edited spec", problems_of(ExperimentSpec, error)) from None
        edited = tuple(dict.fromkeys([*self.overridden, *changes]))
        return LoadedSpec(self.path, spec, self.places, edited)

    def locate(self, error: SpecError) -> SpecError:
        """The same error, with file, line and column."""
        problems = [located(p, self.places, self.overridden) for p in error.problems]
        return SpecError(self.path, problems)


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """Read, override and check a spec file.

    Args:
        path: of the YAML file.
        overrides: such as ``dataset.source=other.parquet``; values are YAML.

    Raises:
        MissingInputError: there is no such file.
        SpecError: with one problem for each thing that is wrong.
        UsageError: an override is not of the form ``a.b=value``.
    """
    raw, places = parse_yaml(str(path), read_text(Path(path), _HINT))
    folder = Path(path).resolve().parent
    for name, base in (("dataset.source", folder), ("output", folder)):
        _resolve(raw, name.split("."), base)
    overridden = tuple(_apply(raw, places, override) for override in overrides)
    try:
        spec = ExperimentSpec.model_validate(raw)
    except ValidationError as error:
        problems = problems_of(ExperimentSpec, error)
        raise SpecError(
            str(path), [located(problem, places, overridden) for problem in problems]
        ) from None
    return LoadedSpec(str(path), _with_default_output(spec, raw, folder), places, overridden)


def _with_default_output(spec: ExperimentSpec, raw: dict[str, Any], folder: Path) -> ExperimentSpec:
    if "output" in raw:
        return spec
    return spec.model_copy(update={"output": str(folder / spec.output)})


def _resolve(raw: dict[str, Any], names: list[str], folder: Path) -> None:
    """Make a relative path absolute, if it is there and a text without a scheme."""
    *parents, last = names
    for parent in parents:
        raw = raw.get(parent) if isinstance(raw, dict) else None  # type: ignore[assignment]
    value = raw.get(last) if isinstance(raw, dict) else None
    if isinstance(value, str) and value and "://" not in value:
        raw[last] = str((folder / value).resolve())


def _apply(raw: dict[str, Any], places: dict[str, SourcePosition], override: str) -> str:
    """Carry out one ``--set a.b=value``; paths given so are relative to the working directory.

    Returns:
        The dotted path, ``a.b``.
    """
    name, equals, text = override.partition("=")
    parts = name.strip().split(".")
    if not equals or not all(parts):
        raise UsageError(
            f"--set {override!r} is not of the form a.b=value.",
            hint="For example: --set dataset.source=data.parquet",
        )
    value, _ = parse_yaml("--set", "value: " + text) if text.strip() else ({"value": None}, {})
    inner: Any = raw
    for part in parts[:-1]:
        if not isinstance(inner.get(part), dict):
            inner[part] = {}
        inner = inner[part]
    inner[parts[-1]] = value["value"]
    for known in [known for known in places if known == name or known.startswith(f"{name}.")]:
        del places[known]
    if name in {"dataset.source", "output"}:
        _resolve(raw, parts, Path.cwd())
    return name
