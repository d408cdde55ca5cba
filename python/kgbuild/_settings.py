"""A pipeline.toml of keyword arguments: paths are relative to the working directory, and None is nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from . import _kgbuild

# By section, the keys that are paths, or lists of paths.
_PATHS: dict[str, set[str]] = {
    "models": {"base", "finetuned"},
    "inputs": {"ontology", "graph", "subjects", "candidates", "gold"},
    "examples": {"facts", "entities"},
    "tuning": {"facts", "entities", "file"},
    "output": {"folder"},
}


def to_toml(sections: Mapping[str, Any]) -> str:
    """The text of the file."""
    settled = {
        section: _settled(keys, _PATHS.get(section, set()))
        for section, keys in sections.items()
        if keys is not None
    }
    return _kgbuild.to_toml(json.dumps(settled, default=os.fspath))


def _settled(keys: Any, paths: set[str]) -> Any:
    if not isinstance(keys, Mapping):
        return keys
    given = {key: value for key, value in keys.items() if value is not None}
    return {key: _absolute(value) if key in paths else value for key, value in given.items()}


def _absolute(value: Any) -> Any:
    if isinstance(value, Mapping):  # a model with its hash
        return {key: _absolute(own) if key == "source" else own for key, own in value.items()}
    if isinstance(value, (list, tuple)):
        return [_absolute(own) for own in value]
    if isinstance(value, str) and value.startswith(("pypi:", "hf:")):
        return value
    return os.path.abspath(value)
