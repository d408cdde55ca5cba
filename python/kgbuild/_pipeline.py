"""Pipelines."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from . import _kgbuild
from ._library import use_onnxruntime
from ._progress import Progress, teller
from ._settings import to_toml

if TYPE_CHECKING:
    import pyarrow as pa

Path = str | os.PathLike[str]


class Pipeline:
    """A pipeline: what is asked of which models, and where the graph goes.

    Either a file, or the folder of a pipeline.toml, or the sections of one as keyword arguments, whose paths are relative to the
    working directory::

        Pipeline("pipeline.toml")
        Pipeline(models={"base": "model"}, inputs={"ontology": "o.ttl", ...}, output={"folder": "out"})
    """

    def __init__(self, file: Path | None = None, **sections: dict[str, Any]) -> None:
        if (file is None) == (not sections):
            raise TypeError("give a file, or the sections of one as keyword arguments")
        if file is None:
            folder = tempfile.mkdtemp(prefix="kgbuild-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            file = pathlib.Path(folder, "pipeline.toml")
            file.write_text(to_toml(sections), encoding="utf-8")
        elif os.path.isdir(file):
            file = pathlib.Path(file, "pipeline.toml")
        self._pipeline = _kgbuild.Pipeline(os.fspath(file))

    def __repr__(self) -> str:
        return f"Pipeline({str(self.file)!r})"

    @property
    def file(self) -> pathlib.Path:
        """The file."""
        return pathlib.Path(self._pipeline.file)

    @property
    def output(self) -> pathlib.Path:
        """The folder of the graph."""
        return pathlib.Path(self._pipeline.output)

    def check(self, progress: bool | Progress | None = None) -> None:
        """Checks the file and all that it names, without fetching a model. Mistakes are raised together."""
        self._pipeline.check(teller(progress))

    def plan(self, progress: bool | Progress | None = None) -> dict[str, Any]:
        """Counts what a run would do: subjects, prompts and tokens by relation, and what share is still to be asked."""
        return self._pipeline.plan(teller(progress))

    def run(
        self,
        *,
        fresh: bool = False,
        shard: str | None = None,
        plan: Path | None = None,
        progress: bool | Progress | None = None,
    ) -> dict[str, Any]:
        """Predicts what the graph lacks and writes it; gives the report.

        `shard` asks a part of the questions alone, as "3/16". `progress` is True for bars (where tqdm is installed), or a
        callable that is given a dict an event. Ctrl-C stops where nothing is lost, and the next run goes on from there.
        """
        use_onnxruntime()
        own = None if plan is None else os.fspath(plan)
        return self._pipeline.run(fresh, shard, own, teller(progress))

    def share_means(
        self,
        file: Path | None = None,
        *,
        fresh: bool = False,
        progress: bool | Progress | None = None,
    ) -> pathlib.Path:
        """Takes what all shards go by, once, and gives the file, as `kgbuild plan` does."""
        use_onnxruntime()
        own = None if file is None else os.fspath(file)
        return pathlib.Path(self._pipeline.share_means(own, fresh, teller(progress)))

    def tune(self, progress: bool | Progress | None = None) -> pathlib.Path:
        """Chooses the pipeline's numbers on its held-out facts, writes them, and gives the file."""
        use_onnxruntime()
        return pathlib.Path(self._pipeline.tune(teller(progress)))

    @overload
    def ask(
        self,
        subjects: str | Iterable[str],
        relations: str | Sequence[str] = ...,
        *,
        most: int = ...,
        as_: Literal["arrow"] = ...,
        progress: bool | Progress | None = ...,
    ) -> pa.Table: ...

    @overload
    def ask(
        self,
        subjects: str | Iterable[str],
        relations: str | Sequence[str] = ...,
        *,
        most: int = ...,
        as_: Literal["dicts"],
        progress: bool | Progress | None = ...,
    ) -> list[dict[str, Any]]: ...

    def ask(
        self,
        subjects: str | Iterable[str],
        relations: str | Sequence[str] = (),
        *,
        most: int = 1,
        as_: Literal["arrow", "dicts"] = "arrow",
        progress: bool | Progress | None = None,
    ) -> Any:
        """Asks for the objects of subjects, both by their IRIs, by all relations that fit where none is named.

        A row an answer, the `most` best of each question, the best first, whatever their confidence: `subject`, `relation`,
        `object`, `label`, `confidence`, `finetuned`, `base`. No graph is read or written; the models stay open until
        `close`.
        """
        use_onnxruntime()
        subjects = [subjects] if isinstance(subjects, str) else list(subjects)
        relations = [relations] if isinstance(relations, str) else list(relations)
        columns = self._pipeline.ask(subjects, relations, most, teller(progress))
        if as_ == "dicts":
            return [dict(zip(columns, row)) for row in zip(*columns.values())]
        import pyarrow as pa

        types = {"confidence": pa.float64(), "finetuned": pa.float64(), "base": pa.float64()}
        return pa.table(
            {name: pa.array(own, types.get(name, pa.string())) for name, own in columns.items()}
        )

    def close(self) -> None:
        """Gives back the memory of the models that `ask` has opened."""
        self._pipeline.close()


def init(folder: Path) -> Pipeline:
    """Writes a commented pipeline.toml with small tables into a folder, and gives it."""
    _kgbuild.init(os.fspath(folder))
    return Pipeline(folder)


def finetune(
    file: Path, *, fresh: bool = False, progress: bool | Progress | None = None
) -> dict[str, Any]:
    """Trains a model as a finetune.toml says, from the last checkpoint on, and gives its card."""
    use_onnxruntime()
    return _kgbuild.finetune(os.fspath(file), fresh, teller(progress))
