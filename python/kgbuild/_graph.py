"""Graphs."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from . import _kgbuild
from ._library import use_onnxruntime
from ._progress import Progress, teller

if TYPE_CHECKING:
    import pyarrow as pa

Path = str | os.PathLike[str]

_XSD = "http://www.w3.org/2001/XMLSchema#"


def _boolean(text: str) -> bool:
    return text in ("true", "1")


# Columns of one of these datatypes alone have Python's values, others texts.
_NUMBERS: dict[str, Callable[[str], Any]] = {
    f"{_XSD}integer": int,
    f"{_XSD}decimal": float,
    f"{_XSD}double": float,
    f"{_XSD}float": float,
    f"{_XSD}boolean": _boolean,
}


class Graph:
    """A graph that a run has made: its output folder, or the store/ in it. It is only read."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.fspath(folder)

    def __repr__(self) -> str:
        return f"Graph({self._folder!r})"

    def query(self, sparql: str, *, timeout: float | None = None) -> Any:
        """Answers a SPARQL query: a SELECT with a pyarrow table, an ASK with a bool, a CONSTRUCT with Turtle.

        The prefixes rdf, rdfs, xsd, owl, prov, kgb, wd and wdt need no declaration. A column of numbers or truth values
        alone has them as such, another one has texts. `timeout` is in seconds.
        """
        answered = _kgbuild.query(self._folder, sparql, timeout)
        try:
            found = json.loads(answered)
        except ValueError:
            return answered
        if "boolean" in found:
            return found["boolean"]
        return _table(found)

    def export(
        self,
        file: Path,
        *,
        format: str = "turtle",
        annotations: str | None = None,
        include: Iterable[str] | None = None,
        min_confidence: float | None = None,
    ) -> pathlib.Path:
        """Writes the graph into a file, or a format of several tables into a new folder, and gives it."""
        parts = None if include is None else list(include)
        own = os.fspath(file)
        _kgbuild.export(self._folder, own, format, annotations, parts, min_confidence)
        return pathlib.Path(own)

    def history(self) -> list[dict[str, Any]]:
        """The runs that made the graph what it is, the first one first."""
        return _kgbuild.history(self._folder)


def _table(found: dict[str, Any]) -> pa.Table:
    import pyarrow as pa

    rows = found["results"]["bindings"]
    columns = {}
    for name in found["head"]["vars"]:
        cells = [row.get(name) for row in rows]
        types = {cell.get("datatype") for cell in cells if cell is not None}
        read = _NUMBERS.get(types.pop() or "") if len(types) == 1 else None
        values = [cell and _text(cell["value"]) for cell in cells]
        if read is not None:
            values = [value if value is None else read(value) for value in values]
        kinds: dict[Any, Any] = {int: pa.int64(), float: pa.float64(), _boolean: pa.bool_()}
        kind: Any = kinds.get(read, pa.string())
        try:
            columns[name] = pa.array(values, kind)
        except (OverflowError, pa.ArrowInvalid):  # an integer beyond 64 bits
            columns[name] = pa.array([None if value is None else str(value) for value in values])
    return pa.table(columns)


def _text(value: Any) -> str:
    # A triple that is a term has no text of its own.
    return value if isinstance(value, str) else json.dumps(value)


def merge(
    output: Path,
    shards: Sequence[Path] = (),
    *,
    partial: bool = False,
    fresh: bool = False,
    pipeline: Path | None = None,
    progress: bool | Progress | None = None,
) -> dict[str, Any]:
    """Makes one graph of shards in an output folder, of those in it where none is named; gives the report."""
    use_onnxruntime()
    folders = [os.fspath(shard) for shard in shards]
    own = None if pipeline is None else os.fspath(pipeline)
    return _kgbuild.merge(os.fspath(output), folders, partial, fresh, own, teller(progress))


def evaluate(
    predictions: Path | Sequence[Path],
    gold: Path | Sequence[Path],
    *,
    rules: str | None = None,
    tolerance: float | None = None,
    min_confidence: float | None = None,
) -> dict[str, Any]:
    """Scores graphs, or files of predictions, against gold facts, as `kgbuild eval --json` does."""
    several = [[own] if isinstance(own, (str, os.PathLike)) else own for own in (predictions, gold)]
    paths = [[os.fspath(path) for path in own] for own in several]
    return _kgbuild.evaluate(paths[0], paths[1], rules, tolerance, min_confidence)
