"""Rows of subjects in, rows of answered questions out: what the functions for Ray and for Spark share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from . import _kgbuild
from ._library import use_onnxruntime

Path = str | os.PathLike[str]

SCHEMA: pa.Schema = pa.schema(
    [
        ("subject", pa.string()),
        ("relation", pa.string()),
        ("run", pa.string()),
        (
            "answers",
            pa.list_(
                pa.struct(
                    [
                        ("object", pa.string()),
                        ("label", pa.string()),
                        ("confidence", pa.float64()),
                        ("finetuned", pa.float64()),
                        ("base", pa.float64()),
                        ("written", pa.bool_()),
                    ]
                )
            ),
        ),
        ("quads", pa.string()),
        ("statistics", pa.string()),
        ("made_by", pa.string()),
    ]
)
"""The columns of answered questions. A merge reads all but `answers`, which are for people."""

_ASKED = "a batch of subjects has the columns iri and label, and if wanted aliases, types and relation"


class Worker:
    """Answers the questions of a pipeline about batches of subjects; its model is opened once, where it is made.

    `plan` is the file that `Pipeline.share_means` has written. A batch is a pyarrow table with the columns `iri` and
    `label`, and if wanted `aliases` and `types` (lists, or texts with `|` between several) and `relation` (the IRI of the one
    that is asked; without it all that fit are). The answer is a table of `SCHEMA`, a row a question: the candidates that were
    found, the best first, and what `merge` needs of it. What the known facts of the pipeline answer is left out.
    """

    def __init__(self, pipeline: Path, plan: Path, threads: int | None = None) -> None:
        use_onnxruntime()
        self._worker = _kgbuild.RowWorker(os.fspath(pipeline), os.fspath(plan), threads)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The answers to a batch's questions."""
        if not isinstance(batch, pa.Table):
            raise TypeError(f"a batch is a pyarrow.Table, and this is a {type(batch).__name__}")
        columns = {name: batch.column(name).to_pylist() for name in batch.column_names}
        return pa.table(self._worker.answer(*_asked(columns, batch.num_rows)), SCHEMA)


def _asked(columns: Mapping[str, list[Any]], rows: int) -> tuple[list[Any], ...]:
    """The columns of a batch of subjects, in their order."""
    missing = [name for name in ("iri", "label") if name not in columns]
    if missing:
        raise ValueError(f"{_ASKED}; this one has {', '.join(columns) or 'none'}")
    for name in ("iri", "label"):
        for at, value in enumerate(columns[name]):
            if not isinstance(value, str):
                raise ValueError(f"row {at} has no text in the column {name}, but {value!r}")
    nothing: list[Any] = [None] * rows
    several = [[_several(v, n) for v in columns.get(n, nothing)] for n in ("aliases", "types")]
    relations = columns.get("relation", nothing)
    return columns["iri"], columns["label"], *several, [own or None for own in relations]


def _several(value: Any, name: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split("|") if part.strip()]
    if isinstance(value, Iterable):
        parts = list(value)
        if all(isinstance(part, str) for part in parts):
            return parts
    raise ValueError(f"the column {name} has lists of texts, or texts with | between; not {value!r}")
