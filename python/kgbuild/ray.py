"""kgbuild on a cluster of Ray.

    import kgbuild.ray

    report = kgbuild.ray.run("pipeline.toml", workers=16)

asks the questions of a pipeline on 16 actors and makes one graph of the answers. The pipeline's files, and its output folder,
have to be where all nodes see them. Of your own datasets::

    plan = kgbuild.Pipeline("pipeline.toml").share_means()
    rows = ray.data.read_parquet("s3://…/subjects").map_batches(
        kgbuild.ray.Worker,
        fn_constructor_args=("pipeline.toml", plan),
        batch_format="pyarrow",
        batch_size=256,
        compute=ray.data.ActorPoolStrategy(size=16),
    )
    rows.write_parquet("outputs/mine/shards/rows")
    kgbuild.merge("outputs/mine")
"""

from __future__ import annotations

import os
import pathlib
from typing import Any

import pyarrow as pa
import ray
import ray.data

from . import _kgbuild
from ._graph import merge
from ._pipeline import Pipeline
from ._progress import Progress
from ._rows import SCHEMA, Path, Worker

__all__ = ["SCHEMA", "Worker", "run"]

# More files of answers are hardly listed fast.
_MOST_FILES = 4096


def run(
    pipeline: Path,
    *,
    workers: int | None = None,
    subjects: ray.data.Dataset | None = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    batch_size: int = 256,
    fresh: bool = False,
    progress: bool | Progress | None = None,
) -> dict[str, Any]:
    """Asks the questions of a pipeline file on actors of Ray, makes one graph of the answers, and gives its report.

    `workers` actors with `num_cpus` each; without these as many as there are nodes, which share their CPUs. Each is given
    `batch_size` subjects at once: many fill the batches of its model better, few are sooner written. The subjects are those
    of the pipeline's tables. Where Ray's workers, this process or the merge are killed, the same call goes on after what was
    answered; `fresh` asks all again.

    `subjects` are others: a dataset with the columns that `Worker` takes, of any size and from anywhere. The pipeline's own
    tables then give only what the mean predictions are taken of. All of the dataset is asked, and the graph is marked as one
    that is not of the pipeline's own questions.
    """
    file = os.path.abspath(Pipeline(pipeline).file)
    own = Pipeline(file)
    if not ray.is_initialized():
        ray.init()
    plan = own.share_means(fresh=fresh, progress=progress)
    folder = own.output / "shards" / "rows"
    if fresh:
        for old in folder.glob("*.parquet"):
            old.unlink()
    workers, num_cpus = _sizes(workers, num_cpus)
    dataset = _left(file, folder, workers, batch_size) if subjects is None else subjects
    if dataset is not None:
        answered = dataset.map_batches(
            Worker,
            fn_constructor_args=(file, os.path.abspath(plan), max(1, int(num_cpus))),
            batch_format="pyarrow",
            batch_size=batch_size,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=num_cpus,
            num_gpus=num_gpus,
        )
        answered.write_parquet(os.path.abspath(folder))
    shards = [own.output / "shards" / "plan", folder]
    return merge(
        own.output, shards, partial=subjects is not None, fresh=fresh, pipeline=file, progress=progress
    )


def _sizes(workers: int | None, num_cpus: float | None) -> tuple[int, float]:
    """How many workers there are, and with how many CPUs each."""
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    workers = workers or max(1, len(nodes))
    if num_cpus is None:
        # On each node the same number of workers, of whole CPUs.
        each = -(-workers // max(1, len(nodes)))
        fewest = min((node["Resources"]["CPU"] for node in nodes), default=1)
        num_cpus = max(1, int(fewest // each))
    return workers, num_cpus


def _left(
    file: str, folder: pathlib.Path, workers: int, batch_size: int
) -> ray.data.Dataset | None:
    """The subjects of a pipeline that are to be asked about, in blocks of which each becomes a file; None where all are
    answered."""
    left = _kgbuild.LeftSubjects(file, os.fspath(folder))
    for broken in left.broken:
        # Its writer was killed; its questions are among those that are left.
        os.unlink(broken)
    if not len(left):
        return None
    # All have something to do, each file is soon written, and there are no more of them than thousands.
    size = min(batch_size, -(-len(left) // workers))
    size = max(size, -(-len(left) // _MOST_FILES))
    starts = range(0, len(left), size)
    types = {"aliases": pa.list_(pa.string()), "types": pa.list_(pa.string())}
    schema = pa.schema((name, types.get(name, pa.string())) for name in left.rows(0, 1))
    blocks = [ray.put(pa.table(left.rows(start, size), schema)) for start in starts]
    return ray.data.from_arrow_refs(blocks)
