"""kgbuild under Spark.

    import kgbuild.spark

    plan = kgbuild.Pipeline("pipeline.toml").share_means()
    subjects = spark.read.parquet("s3a://…/subjects")  # iri, label, and if wanted aliases, types, relation
    rows = subjects.mapInPandas(
        kgbuild.spark.answer("pipeline.toml", plan), schema=kgbuild.spark.SCHEMA
    )
    rows.write.parquet("outputs/mine/shards/rows")
    kgbuild.merge("outputs/mine")

The pipeline's files have to be where all executors see them, and the rows where the merge does. One task of an executor should
have all its cores (`spark.task.cpus`), as its model computes with as many `threads`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from ._rows import Path, Worker

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SCHEMA", "answer"]

SCHEMA = (
    "subject string, relation string, run string, "
    "answers array<struct<object: string, label: string, confidence: double, finetuned: double, base: double, "
    "written: boolean>>, quads string, statistics string, made_by string"
)
"""The columns of answered questions, as Spark writes a schema."""


def answer(
    pipeline: Path, plan: Path, threads: int | None = None
) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """A function for `DataFrame.mapInPandas`: frames of subjects in, frames of answered questions out.

    See `kgbuild.ray.Worker` for their columns. The model is opened once in each of Spark's Python processes.
    """
    file, own = os.path.abspath(pipeline), os.path.abspath(plan)

    def answered(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        worker = _opened(file, own, threads)
        for frame in frames:
            batch = pa.Table.from_pandas(frame, preserve_index=False)
            yield worker(batch).to_pandas()

    return answered


@functools.lru_cache(maxsize=1)
def _opened(pipeline: str, plan: str, threads: int | None) -> Worker:
    return Worker(pipeline, plan, threads)
