"""kgbuild on a cluster of Ray.

    import kgbuild.ray

    report = kgbuild.ray.run("pipeline.toml", workers=16)

asks the questions of a pipeline on 16 actors and makes one graph of the answers. The pipeline's files, and its output folder,
have to be where all nodes see them. Of your own datasets::

    plan = kgbuild.Pipeline("pipeline.toml").share_means()
    rows = ray.data.read_parquet("s3://…/subjects").map_batches(
        kgbuild.ray.Worker,
        fn_constructor_args=(os.path.abspath("pipeline.toml"), os.path.abspath(plan), 4),
        batch_format="pyarrow",
        batch_size=256,
        compute=ray.data.ActorPoolStrategy(size=16),
        num_cpus=4,  # as many as a worker has threads; some have to be left for the reading
    )
    rows.write_parquet("outputs/mine/shards/rows", ray_remote_args={"num_cpus": 0})
    kgbuild.merge("outputs/mine")
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import uuid
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data

from . import _kgbuild
from ._graph import merge
from ._pipeline import Pipeline
from ._progress import Progress
from ._rows import SCHEMA, Path, Worker

__all__ = ["SCHEMA", "Worker", "run"]

# Subjects that a worker is given at once, where nothing else is said.
_FEWEST_SUBJECTS, _MOST_SUBJECTS = 16, 256
# More files of answers are hardly listed fast.
_MOST_FILES = 65536

# What `_Writer` names its files, those that are whole and those that are not yet.
_WHOLE = re.compile(r"[0-9a-f]{24}\.parquet")
_HALF = re.compile(r"\.[0-9a-f]{24}-[0-9a-f]{32}")


class _Writer(Worker):
    """Writes what it answers into a folder itself: tasks that only write are begun anew for each file, which takes as long
    as asking does. Of a batch that is asked again, the file is the same."""

    def __init__(self, pipeline: Path, plan: Path, folder: str, num_cpus: float) -> None:
        super().__init__(pipeline, plan, max(1, int(num_cpus)))
        self._folder = pathlib.Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """How many questions were answered."""
        rows = super().__call__(batch)
        name = hashlib.sha256(json.dumps(batch.to_pydict()).encode()).hexdigest()[:24]
        half = self._folder / f".{name}-{uuid.uuid4().hex}"
        with half.open("wb") as file:
            pq.write_table(rows, file)
            file.flush()
            os.fsync(file.fileno())
        half.replace(self._folder / f"{name}.parquet")
        return pa.table({"answered": [rows.num_rows]})


def run(
    pipeline: Path,
    *,
    workers: int | None = None,
    subjects: ray.data.Dataset | None = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    batch_size: int | None = None,
    fresh: bool = False,
    progress: bool | Progress | None = None,
) -> dict[str, Any]:
    """Asks the questions of a pipeline file on actors of Ray, makes one graph of the answers, and gives its report.

    `workers` actors with `num_cpus` each; without these as many as there are nodes, which share their CPUs. Each is given
    `batch_size` subjects at once, writes what it answers into a file of Parquet, and then takes others: many fill the batches
    of its model better, few leave less to do at the end, and again after a kill. The subjects are those of the pipeline's
    tables. Where Ray's workers, this process or the merge are killed, the same call goes on after what was answered; `fresh`
    asks all again.

    `subjects` are others: a dataset with the columns that `Worker` takes, of any size and from anywhere. The pipeline's own
    tables then give only what the mean predictions are taken of. All of the dataset is asked, again at each call, and the
    graph is marked as one that is not of the pipeline's own questions: give it an output folder of its own. Reading the dataset
    takes CPUs beside those of the workers.
    """
    file = os.path.abspath(Pipeline(pipeline).file)
    own = Pipeline(file)
    if not ray.is_initialized():
        ray.init()
    plan = own.share_means(fresh=fresh, progress=progress)
    folder = own.output / "shards" / "rows"
    if fresh:
        _delete(folder, _WHOLE)
    workers, num_cpus = _sizes(workers, num_cpus)
    asked = _left(file, folder, workers, batch_size) if subjects is None else subjects
    if asked is not None:
        answered = asked.map_batches(
            _Writer,
            fn_constructor_args=(file, os.path.abspath(plan), os.path.abspath(folder), num_cpus),
            batch_format="pyarrow",
            # A block of the tables is a batch as it is.
            batch_size=None if subjects is None else batch_size or _MOST_SUBJECTS,
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
            num_cpus=num_cpus,
            num_gpus=num_gpus,
        )
        for _ in answered.iter_batches(batch_size=None):
            pass
    shards = [own.output / "shards" / "plan", folder]
    return merge(
        own.output, shards, partial=subjects is not None, fresh=fresh, pipeline=file, progress=progress
    )


def _delete(folder: pathlib.Path, names: re.Pattern[str]) -> None:
    """Deletes files that a `_Writer` named so, and no others."""
    for file in folder.iterdir() if folder.is_dir() else ():
        if names.fullmatch(file.name):
            file.unlink()


def _sizes(workers: int | None, num_cpus: float | None) -> tuple[int, float]:
    """How many workers there are, and with how many CPUs each."""
    all_nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = [node for node in all_nodes if node["Alive"] and node["Resources"].get("CPU")]
    workers = workers or max(1, len(nodes))
    if num_cpus is None:
        # On each node the same number of workers, of whole CPUs.
        each = -(-workers // max(1, len(nodes)))
        fewest = min((node["Resources"]["CPU"] for node in nodes), default=1)
        num_cpus = max(1, int(fewest // each))
    return workers, num_cpus


def _left(
    file: str, folder: pathlib.Path, workers: int, batch_size: int | None
) -> ray.data.Dataset | None:
    """The subjects of a pipeline that are to be asked about, in blocks of which each becomes a file; None where all are
    answered."""
    left = _kgbuild.LeftSubjects(file, os.fspath(folder))
    # What a worker had not written to its end when it was killed.
    _delete(folder, _HALF)
    if not len(left):
        return None
    starts, start = [], 0
    while start < len(left):
        starts.append(start)
        # Large at first, which fills the model's batches, and small at last, so that all end together.
        size = batch_size or (len(left) - start) // (2 * workers)
        if batch_size is None:
            size = min(max(size, _FEWEST_SUBJECTS), _MOST_SUBJECTS)
        start += max(size, -(-len(left) // _MOST_FILES))
    starts.append(len(left))
    types = {"aliases": pa.list_(pa.string()), "types": pa.list_(pa.string())}
    schema = pa.schema((name, types.get(name, pa.string())) for name in left.rows(0, 1))
    pairs = zip(starts, starts[1:])
    blocks: list[Any] = [ray.put(pa.table(left.rows(at, end - at), schema)) for at, end in pairs]
    return ray.data.from_arrow_refs(blocks)
