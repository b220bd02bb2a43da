"""Sizes of documents by Firestore's rules, and fields with an index."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from steps.contract import ProjectLayout
from steps.records import RunRecord
from steps.results.partition_result import PartitionResult
from steps.stores import firestore_documents
from steps.stores.base import open_store
from steps.stores.firestore_documents import EXEMPT, PIECE_BYTES, TEXT_BYTES, Document, stored_bytes
from tests.storage.results import some_results

INDEXES = Path(__file__).parents[2] / "terraform" / "firestore.indexes.json"
MIB = 1 << 20
BASE = firestore_documents.run_path("e" * 45, "20260102T030405-aaaa")
WIDE = [f"{n:04d} {'long name ☃ ' * 24}" for n in range(1000)]  # 300 characters each


def wide(classes: int = 3) -> list[PartitionResult]:
    """Return a partition with 1,000 features, 20 grid values each, and several classes."""
    return some_results(["key " * 500], WIDE, 20, [f"class {n}" for n in range(classes)])


@cache
def all_documents() -> list[Document]:
    """Return the largest documents of each kind."""
    record = RunRecord("p" * 45, BASE[1], BASE[3], "s" * 32, "d" * 32, "failed", "2026-01-02")
    strange = RunRecord(**{**vars(record), "message": "\ud800☃" * MIB, "label": "x" * 200})
    columns = {name: {"top": [{"value": name, "rows": 1}] * 20} for name in WIDE}
    return [
        *firestore_documents.run_documents(strange),
        *(each for one in wide() for each in firestore_documents.result_documents(BASE, one)),
        *firestore_documents.statistics_documents("p" * 45, "d" * 32, [("", {"columns": columns})]),
    ]


def size(document: Document) -> int:
    """Return the size: name, fields and 32 bytes.

    See https://cloud.google.com/firestore/docs/storage-size.
    """
    name = ("projects", "p" * 45, *document.path)
    return sum(map(stored_bytes, name)) + 16 + stored_bytes(document.fields)


def entries(value: Any) -> int:
    """Return the number of single-field index entries: https://cloud.google.com/firestore/docs/query-data/index-overview.

    Ascending and descending for a plain value, too for each field of a map, and one for each
    element of an array.
    """
    if isinstance(value, Mapping):
        return sum(map(entries, value.values()))
    return len(value) if isinstance(value, list) else 2


def collection(document: Document) -> str:
    return document.path[-2] if document.path else "projects"


def test_stored_bytes_match_firestore_rules() -> None:
    # Google's own example: users/jeff/tasks/my_task_id has 44 bytes of name, 71 of fields, 32 more.
    task = {
        "type": "Personal",
        "done": False,
        "priority": 1,
        "description": "Learn Cloud Firestore",
    }
    assert stored_bytes(task) == 71 + 32
    assert sum(map(stored_bytes, ("users", "jeff", "tasks", "my_task_id"))) + 16 == 44
    assert stored_bytes([1, 2.0, None, "☃", True]) == 8 + 8 + 1 + 4 + 1


def test_documents_stay_below_limits() -> None:
    made = all_documents()
    by_kind = defaultdict(list)
    for document in made:
        by_kind[collection(document)].append(document)
    assert by_kind.keys() == {
        "projects", "experiments", "runs", "results", "tables", "datasets", "statistics",
    }  # fmt: skip
    assert len(by_kind["tables"]) > 100  # the documents are large enough to reach the limit
    assert len(by_kind["statistics"]) > 10
    largest = {kind: max(map(size, each)) for kind, each in by_kind.items()}
    assert max(largest.values()) < 0.27 * MIB
    assert largest["results"] < 0.1 * MIB
    for document in made:
        exempt = EXEMPT.get(collection(document), ())
        assert sum(entries(v) for k, v in document.fields.items() if k not in exempt) < 50


def test_names_contain_only_ids() -> None:
    hostile = ["a/../b", "__x__", "", ".", "..", "{{=1}}", "x" * 300]
    for result in some_results(hostile, hostile):
        for document in firestore_documents.result_documents(BASE, result):
            assert all(part.replace("-", "").replace("_", "").isalnum() for part in document.path)
            assert all(name.isidentifier() for name in document.fields)


def test_text_is_clipped_between_characters() -> None:
    assert firestore_documents.clipped("x" * TEXT_BYTES) == "x" * TEXT_BYTES
    cut = firestore_documents.clipped("☃" * TEXT_BYTES)
    assert cut == "☃" * ((TEXT_BYTES - 3) // 3) + "…"
    assert firestore_documents.clipped("\ud800") == "?"


def test_large_text_is_clipped_in_tables() -> None:
    (result,) = some_results(["k" * MIB], ["\x01" * MIB], classes=["c" * MIB])
    for document in firestore_documents.result_documents(BASE, result):
        assert size(document) < PIECE_BYTES + 4096, document.path


def test_batches_are_bounded_by_number_and_size() -> None:
    small = [Document(("x", str(n)), {"n": n}) for n in range(1001)]
    assert [len(each) for each in firestore_documents.batches(small)] == [500, 500, 1]
    large = [Document(("x", str(n)), {"text": "x" * PIECE_BYTES}) for n in range(40)]
    groups = list(firestore_documents.batches(large))
    assert [each for group in groups for each in group] == large
    assert all(sum(map(size, group)) < 5 * MIB for group in groups)


def test_emulator_round_trip(firestore: str, tmp_path: Path) -> None:
    store = open_store(ProjectLayout(str(tmp_path), "lab"), firestore)
    wanted = some_results(["a", "b"], WIDE, 20)
    store.put_results("trial", "one", iter(wanted))
    assert sorted(store.results("trial", "one"), key=lambda each: each.partition_id) == sorted(
        wanted, key=lambda each: each.partition_id
    )


def test_fields_without_an_index_are_declared() -> None:
    declared = json.loads(INDEXES.read_text())
    found: dict[str, set[str]] = defaultdict(set)
    for each in declared["fieldOverrides"]:
        assert each["indexes"] == []
        found[each["collectionGroup"]].add(each["fieldPath"])
    assert found == {name: set(fields) for name, fields in EXEMPT.items()}
    assert declared["indexes"] == []  # no query needs one
    written: dict[str, set[str]] = defaultdict(set)
    for document in all_documents():
        written[collection(document)] |= document.fields.keys()
    assert all(found[kind] <= written[kind] for kind in found)
    # Long fields, and fields with many parts, must not have automatic indexes.
    for document in all_documents():
        for name, value in document.fields.items():
            if name not in found[collection(document)] and name not in {"counts", "partition"}:
                assert stored_bytes(value) <= 1500, name
