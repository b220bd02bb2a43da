"""Cases: shrunk failures, kept as small files with the expected dataset.

A case does not depend on the generator. Its folder contains the files of each variant and
``case.json``: the settings that read them, the roles, and the dataset that all of them must give.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steps.errors import RefeedError
from tests.fuzz.expectation import Expectation, expect
from tests.fuzz.sources import write_source
from tests.fuzz.splitting import Dataset, build, dataset_problems, dataset_section
from tests.fuzz.table import Table

CASES = Path(__file__).parent / "cases"


def write_case(table: Table, folder: Path, title: str) -> None:
    """Write a table as a case, replacing the folder.

    Args:
        table: a small table.
        folder: the case's folder.
        title: a sentence that says what was wrong.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    variants = []
    for number, variant in enumerate(table.variants):
        source = write_source(table, variant, folder / str(number))
        section = dataset_section(table, source.settings)
        section["source"] = str(Path(section["source"]).relative_to(folder))
        variants.append(section)
    content = {
        "title": title,
        "seed": table.seed,
        "group": table.group,
        "time": table.time,
        "variants": variants,
        "expected": expect(table).to_json(),
    }
    text = json.dumps(content, ensure_ascii=True, indent=1)
    (folder / "case.json").write_text(text + "\n", encoding="utf-8")


def case_problems(folder: Path, output: Path) -> Iterator[str]:
    """Yield what is wrong with the datasets of a case.

    Args:
        folder: the case's folder.
        output: an empty folder for datasets.
    """
    case: dict[str, Any] = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    expected = Expectation.from_json(case["expected"])
    datasets: list[Dataset] = []
    for number, section in enumerate(case["variants"]):
        source = str(folder / section["source"])
        root = output / str(number)
        try:
            dataset = build({**section, "source": source}, case["group"], case["time"], root)
        except RefeedError as error:
            yield f"variant {number}: refused: {error}"
            continue
        for each in dataset_problems(dataset, expected):
            yield f"variant {number}: {each}"
        datasets.append(dataset)
    if len({dataset.result.index.content for dataset in datasets}) > 1:
        yield "the variants have different digests"
