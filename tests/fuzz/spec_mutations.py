"""Random mutations of specs: of their values, of their text, and of overrides."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

FULL: dict[str, Any] = {
    "name": "full",
    "project": "demo",
    "dataset": {
        "source": "table.csv",
        "partition_by": "store",
        "target": "units",
        "features": ["price", "kind", "day"],
        "categorical": ["kind"],
        "weight": None,
        "identity": ["id"],
        "min_rows": 5,
        "max_levels": 20,
        "format": "parquet",
        "types": {"kind": "string", "price": "number(1,234.5)"},
        "null_values": ["", "NA"],
        "delimiter": ",",
        "decimal": ".",
        "encoding": "utf-8",
        "skip_lines": 0,
    },
    "split": {"engine": "embedded", "workers": 3},
    "task": "regression",
    "trainer": {
        "name": "lightgbm",
        "params": {"rounds": 10, "monotone_constraints": {"price": -1}},
    },
    "evaluate": {"method": "kfold", "folds": 3, "seed": 1, "group": "day"},
    "explain": {
        "partial_dependence": {"features": ["price"], "grid": 5, "scale": "raw"},
        "shap": True,
        "permutation_importance": 1,
        "rows": 100,
    },
    "execution": {"max_failed_fraction": 0.5, "workers": 1, "label": "a note", "deadline": "2h"},
    "schedule": {"cron": "0 6 * * 1", "timezone": "Europe/Paris"},
    "output": "runs",
}
"""A spec that has most fields; its source is ``TABLE``."""

TABLE = "id,store,day,kind,price,weight,units\n" + "".join(
    f"{i},{'ab'[i % 2]},2024-01-0{i % 9 + 1},{'xyz'[i % 3]},{i / 7:.2f},{1 + i % 3},{i % 11 / 2}\n"
    for i in range(48)
)
"""The table of ``FULL``."""

PLAUSIBLE: dict[str, tuple[Any, ...]] = {
    "task": ("auto", "regression", "binary", "multiclass"),
    "dataset.partition_by": ("store", "kind", "day", "id", "weight"),
    "dataset.target": ("units", "kind", "price", "store", "weight", "id"),
    "dataset.features": (["price"], ["kind", "id"], {"exclude": ["weight"]}, {"exclude": []}, None),
    "dataset.categorical": (["kind", "weight"], ["day"], ["price"], [], None),
    "dataset.weight": ("weight", "price", "kind", None),
    "dataset.offset": ("price", "weight", "kind", None),
    "dataset.exposure": ("weight", "price", "day", None),
    "dataset.identity": (["id"], ["id", "store"], ["unknown"], None),
    "dataset.positive": ("x", "a", 1, True, 0.5, None),
    "dataset.min_rows": (2, 20, 24, 25, 1000),
    "dataset.max_levels": (2, 3, 10_000),
    "dataset.format": ("csv", "parquet"),
    "dataset.types": (
        *({}, {"kind": "bool"}, {"price": "string"}, {"units": "string"}, {"day": "timestamp"}),
        *({"day": "date(%Y-%m-%d)"}, {"id": "float64"}, {"units": "int64"}, {"kind": "date"}),
        *({"price": "number(1.234,5)"}, {"store": "int64"}),
    ),
    "dataset.null_values": (["x"], ["a", "b"], ["0.0"], [], None),
    "dataset.delimiter": (",", ";", "|", None),
    "dataset.decimal": (".", ",", None),
    "dataset.encoding": ("utf-8", "utf-16", "cp1252", "ascii", None),
    "dataset.skip_lines": (0, 1, 48, 49, 50, 1000),
    "dataset.sheet": ("Sheet", None),
    "evaluate.method": ("kfold", "time", "holdout"),
    "evaluate.folds": (2, 3, 7, 50),
    "evaluate.group": ("day", "kind", "store", "id", None),
    "evaluate.time": ("day", "id", "kind", "store", None),
    "evaluate.fraction": (0.01, 0.5, 0.99),
    "evaluate.quantile": (0.1, 0.5, 0.9),
    "trainer.name": ("lightgbm", "linear"),
    "trainer.params": (
        *({}, {"rounds": 3}, {"n_estimators": 3}, {"rounds": "auto", "max_rounds": 5}),
        *(
            {"objective": "poisson"},
            {"objective": "gamma"},
            {"objective": "quantile", "alpha": 0.8},
        ),
        *({"class_weight": "balanced"}, {"class_weight": {"x": 2}}, {"alpha": 0.5}),
        *({"monotone_constraints": {"kind": 1}}, {"interaction_constraints": [["price", "id"]]}),
        *({"rounds": 3, "num_iterations": 3}, {"device": "gpu"}, {"min_data_in_leaf": 1}),
    ),
    "explain.partial_dependence": (False, {"grid": 2}, {"features": ["kind"]}, {"features": "all"}),
    "explain.shap": (True, False),
    "explain.permutation_importance": (0, 2),
    "explain.rows": (10, 1_000_000),
    "execution.label": ("", "x" * 200, "x" * 201),
    "execution.classes": (["small"], ["huge"], [], None),
    "execution.max_failed_fraction": (0, 1),
    "split.engine": ("embedded", "dataflow"),
    "schedule.cron": ("0 6 * * 1", "60 6 * * 1", "0 0 31 2 *"),
    "schedule.timezone": ("UTC", "Europe/Paris", "Mars/Olympus"),
    "project": ("demo", "lab", "nowhere"),
}
"""Values of fields, valid on their own, but not always with each other or with ``TABLE``."""

_STRINGS = (
    *(
        "",
        " ",
        "x",
        "../../etc/passwd",
        "a" * 5000,
        "名前 🦊",
        "\u202e",
        "\x1b[31mred",
        "line\nline",
    ),
    *("{{workflow.name}}", "{{=sprig.env('HOME')}}", "${HOME}", "$(reboot)", "`id`", "<script>"),
    *("null", "~", "true", "yes", "1e400", "nan", "0x1F", "1:30", "2024-02-31", "int64", "string"),
    *(
        "gs://",
        "gs://refeed-demo/x.csv",
        "s3://bucket/x",
        "bigquery://p.d.t",
        "bigquery://",
        "file:///x",
    ),
    *("firestore://x", "http://localhost", "~/x.csv", "*.csv", "**", "[", "date(%d/%m/%Y)"),
    *("number(1.234,5)", "date(%Q)", "timestamp()", "number()", "lightgbm", "linear", "no_such"),
    *("SELECT 1", "day >= '2026-01-01'", "2TiB", "-1B", "24h", "0s", "* * * * *", "@daily"),
    *(
        "utf-16",
        "rot13",
        "no-such-encoding",
        "\t",
        ";",
        "price",
        "units",
        "store",
        "Price",
        "unknown",
    ),
)
_NUMBERS = (
    *(0, -1, 1, 2, 3, 50, 51, 2**31, 2**63, 2**64, 10**30, -(10**30), 10**400),
    *(0.0, -0.0, 0.5, 1.0, 1e308, -1e-320, float("inf"), float("nan"), 0.1 + 0.2),
)
_OTHERS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        [],
        {},
        [[]],
        [None],
        [{}],
        {"": ""},
        {"x": {"y": []}},
        ["price", "price"],
    ),
    *(
        {"exclude": ["price"]},
        {"exclude": []},
        {"exclude": ["nowhere"]},
        ["unknown"],
        "all",
        "auto",
    ),
)
_KEYS = (
    *("", "x", "Name", "datasets", "partition", "partition_by", "target", "n_estimators", "rounds"),
    *(
        "num_leaves",
        "seed",
        "objective",
        "alpha",
        "folds",
        "group",
        "time",
        "<<",
        "a.b",
        "é",
        "\x07",
    ),
    *("__class__", "model_config", "exclude", "source", "query", "weight", "offset", "exposure"),
    *("positive", "identity", "sheet", "class_weight", "interaction_constraints", "rows"),
)
_YAML_VALUES = (
    *("&a 1", "*a", "!!python/object/apply:os.system ['true']", "!!binary aGk=", "!!set {a, b}"),
    *(
        "!!timestamp 2024-01-01",
        "2024-01-01 10:00:00",
        "|\n   text",
        ">-\n   folded",
        "? x",
        "!x y",
    ),
    *(
        "0o17",
        "0b11",
        "1_000",
        "1:30:00",
        ".inf",
        ".nan",
        "-.inf",
        "1" * 5000,
        "'open",
        '"\\x"',
        "{a",
    ),
    *(
        "[a, b",
        "%TAG",
        "@x",
        "`x`",
        "- x",
        "a: b: c",
        "[*a, *a]",
        "&b [*b]",
        "<<: *a",
        "--- x",
        "...",
    ),
)
_TEXT_JUNK = (
    "\t",
    "\x00",
    "\ufeff",
    "\u2028",
    "\x85",
    "\x1b",
    "}",
    "]",
    ":",
    "- ",
    "#",
    "'",
    "\r",
    "\ud7ff",
)


@dataclass(frozen=True)
class SpecInput:
    """A spec file and overrides, which may be nonsense.

    Attributes:
        content: bytes of the file.
        overrides: arguments of ``--set``.
    """

    content: bytes
    overrides: tuple[str, ...]


@cache
def _bases() -> tuple[str, ...]:
    """Return the texts of the specs to begin with."""
    paths = [*ROOT.glob("examples/*/spec.yaml"), *ROOT.glob("tests/field/suite/specs/*.yaml")]
    texts = [path.read_text(encoding="utf-8") for path in sorted(paths)]
    full = yaml.safe_dump(FULL, sort_keys=False)
    return (*texts, *[full] * len(texts))


def mutate(seed: int) -> SpecInput:
    """Return the mutated spec of a seed."""
    rng = Random(seed)
    if rng.random() < 0.4:
        return SpecInput(_plausible(rng).encode(), ())
    text = rng.choice(_bases())
    if rng.random() < 0.3:
        text = text.replace("../../data/", "gs://refeed-demo/").replace(
            "../../runs", "gs://refeed-demo"
        )
    if rng.random() < 0.7:
        value = yaml.safe_load(text)
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            _mutate_value(rng, value)
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=rng.random() < 0.5)
    if rng.random() < 0.4:
        for _ in range(rng.choice([1, 1, 3])):
            text = rng.choice(_TEXT_MUTATIONS)(rng, text)
    overrides = [_override(rng) for _ in range(rng.choice([0, 0, 0, 1, 1, 2]))]
    encoding = rng.choice(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "latin-1"])
    return SpecInput(text.encode(encoding, errors="replace"), tuple(overrides))


def _plausible(rng: Random) -> str:
    """Return ``FULL`` with other values of a few fields."""
    spec = deepcopy(FULL)
    for path in rng.sample(sorted(PLAUSIBLE), rng.randint(1, 5)):
        *parents, last = path.split(".")
        inner = spec
        for parent in parents:
            inner = inner[parent]
        inner[last] = deepcopy(rng.choice(PLAUSIBLE[path]))
    return yaml.safe_dump(spec, sort_keys=False)


def _any_value(rng: Random) -> Any:
    return deepcopy(rng.choice(rng.choice((_STRINGS, _NUMBERS, _OTHERS))))


def _containers(value: Any) -> list[Any]:
    """Return all mappings and lists within a value, itself included."""
    if isinstance(value, dict):
        return [value, *(each for inner in value.values() for each in _containers(inner))]
    if isinstance(value, list):
        return [value, *(each for inner in value for each in _containers(inner))]
    return []


def _mutate_value(rng: Random, spec: Any) -> None:
    """Change one place of a spec."""
    place = rng.choice([each for each in _containers(spec) if each] or [spec])
    if isinstance(place, list):
        _mutate_list(rng, place)
        return
    key = rng.choice(list(place))
    action = rng.randrange(7)
    if action == 0:
        del place[key]
    elif action == 1:
        place[_typo(rng, key)] = place.pop(key)
    elif action == 2:
        place[rng.choice(_KEYS)] = _any_value(rng)
    elif action == 3:
        place[key] = [place[key]] if rng.random() < 0.5 else {"value": place[key]}
    elif action == 4:
        place[rng.choice(_KEYS)] = deepcopy(place[key])
    else:
        place[key] = _any_value(rng)


def _mutate_list(rng: Random, place: list[Any]) -> None:
    position = rng.randrange(len(place))
    action = rng.randrange(4)
    if action == 0:
        del place[position]
    elif action == 1:
        place.insert(position, deepcopy(place[position]))
    elif action == 2 and isinstance(place[position], str):
        place[position] = _typo(rng, place[position])
    else:
        place[position] = _any_value(rng)


def _typo(rng: Random, value: object) -> str:
    text = str(value)
    position = rng.randrange(len(text) + 1)
    before, after = text[:position], text[position:]
    return rng.choice([before + after[1:], f"{before}x{after}", text.upper()])


def _drop_line(rng: Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    del lines[rng.randrange(len(lines)) : rng.randrange(1, len(lines) + 1)][:1]
    return "".join(lines)


def _repeat_line(rng: Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    position = rng.randrange(len(lines))
    return "".join([*lines[:position], lines[position], *lines[position:]])


def _indent_line(rng: Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    position = rng.randrange(len(lines))
    lines[position] = rng.choice(["  ", " ", "\t"]) + lines[position]
    return "".join(lines)


def _set_value(rng: Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    position = rng.randrange(len(lines))
    key, colon, _ = lines[position].partition(":")
    if colon:
        lines[position] = f"{key}: {rng.choice(_YAML_VALUES)}\n"
    return "".join(lines)


def _insert_junk(rng: Random, text: str) -> str:
    position = rng.randrange(len(text) + 1)
    return text[:position] + rng.choice(_TEXT_JUNK) + text[position:]


def _cut(rng: Random, text: str) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _nest(rng: Random, text: str) -> str:
    depth = rng.choice([10, 60, 2000])
    return text + "deep: " + "[" * depth + "]" * depth + "\n"


def _alias(rng: Random, text: str) -> str:
    count = rng.choice([3, 200])
    return text + "anchor: &x [1, 2]\nalias: [" + ", ".join(["*x"] * count) + "]\n"


_TEXT_MUTATIONS: tuple[Callable[[Random, str], str], ...] = (
    *(_drop_line, _repeat_line, _indent_line, _set_value, _set_value, _insert_junk, _cut),
    *(_nest, _alias),
)


def _override(rng: Random) -> str:
    """Return an argument of ``--set``, mostly with a path that exists."""
    paths = [*_paths(FULL, ""), "dataset.features.0", "x", "", ".", "a..b", "dataset.", "name.x"]
    path = rng.choice(paths)
    if rng.random() < 0.15:
        path = _typo(rng, path)
    value = rng.choice([*_STRINGS, *_YAML_VALUES, *map(str, _NUMBERS), "[a", "{exclude: [price]}"])
    return rng.choice([f"{path}={value}"] * 8 + [path, f"{path} = {value}", f"={value}"])


def _paths(value: Any, where: str) -> list[str]:
    found = [where] if where else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _paths(inner, f"{where}.{key}" if where else key)
    return found
