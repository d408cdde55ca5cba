"""What is compiled: see the package's own modules."""

from collections.abc import Callable, Sequence
from typing import Any

_Tell = Callable[[dict[str, Any]], None] | None

__version__: str

class Error(Exception):
    """Why kgbuild could not do something."""

    code: int
    """The exit code that the command has: 2 for what the caller can mend, 1 for what they cannot."""
    help: str | None
    """How it is mended, where the text does not say it."""
    mistakes: list[dict[str, Any]] | None
    """Mistakes in files, each with `severity`, `code`, `message`, `file`, `line` and `help`."""

class InputError(Error):
    """What the caller can mend: files, settings, places."""

class Pipeline:
    file: str
    output: str
    def __init__(self, file: str) -> None: ...
    def check(self, tell: _Tell = None) -> None: ...
    def plan(self, tell: _Tell = None) -> dict[str, Any]: ...
    def run(
        self,
        fresh: bool = False,
        shard: str | None = None,
        plan: str | None = None,
        tell: _Tell = None,
    ) -> dict[str, Any]: ...
    def share_means(
        self, file: str | None = None, fresh: bool = False, tell: _Tell = None
    ) -> str: ...
    def tune(self, tell: _Tell = None) -> str: ...
    def ask(
        self, subjects: Sequence[str], relations: Sequence[str], most: int, tell: _Tell = None
    ) -> dict[str, list[Any]]: ...
    def close(self) -> None: ...

class RowWorker:
    def __init__(self, file: str, plan: str, threads: int | None = None) -> None: ...
    def answer(
        self,
        iris: Sequence[str],
        labels: Sequence[str],
        aliases: Sequence[Sequence[str]],
        types: Sequence[Sequence[str]],
        relations: Sequence[str | None],
    ) -> dict[str, list[Any]]: ...

class LeftSubjects:
    def __init__(self, file: str, folder: str) -> None: ...
    def __len__(self) -> int: ...
    def rows(self, start: int, count: int) -> dict[str, list[Any]]: ...

def main(words: Sequence[str]) -> int: ...
def init(folder: str) -> None: ...
def to_toml(json: str) -> str: ...
def query(store: str, sparql: str, timeout: float | None = None) -> str: ...
def export(
    store: str,
    output: str,
    format: str,
    annotations: str | None = None,
    include: Sequence[str] | None = None,
    min_confidence: float | None = None,
) -> None: ...
def history(store: str) -> list[dict[str, Any]]: ...
def evaluate(
    predictions: Sequence[str],
    gold: Sequence[str],
    rules: str | None = None,
    tolerance: float | None = None,
    min_confidence: float | None = None,
) -> dict[str, Any]: ...
def merge(
    output: str,
    shards: Sequence[str],
    partial: bool = False,
    fresh: bool = False,
    pipeline: str | None = None,
    tell: _Tell = None,
) -> dict[str, Any]: ...
def finetune(file: str, fresh: bool = False, tell: _Tell = None) -> dict[str, Any]: ...
