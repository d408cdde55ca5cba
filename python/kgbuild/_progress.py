"""What long work tells: to a callable of the caller's, or to bars of tqdm."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
Progress = Callable[[Event], None]


def teller(progress: bool | Progress | None) -> Progress | None:
    """Who is told: nobody, a callable, or, for True, bars, where tqdm is installed."""
    if progress is None or progress is False:
        return _warn
    if progress is True:
        return _Bars()
    return progress


def _warn(event: Event) -> None:
    if event["event"] == "warning":
        found = event["warning"]
        place = ":".join(str(part) for part in (found["file"], found["line"]) if part is not None)
        warnings.warn(f"{place}: {found['message']}" if place else found["message"], stacklevel=2)


class _Bars:
    """A bar a stage; notes go to standard error."""

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def __call__(self, event: Event) -> None:
        kind = event["event"]
        if kind == "begin":
            self._begin(event)
        elif kind == "advance" and event["stage"] in self._bars:
            self._bars[event["stage"]].update(event["by"])
        elif kind == "end":
            for bar in self._bars.values():
                bar.close()
            self._bars = {}
        elif kind == "note":
            print(event["text"], file=sys.stderr)
        elif kind == "warning":
            _warn(event)

    def _begin(self, event: Event) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return
        for stage in event["stages"]:
            self._bars[stage] = tqdm(
                total=event["total"], initial=event["done"], desc=stage, unit=f" {event['unit']}"
            )
