"""Where ONNX Runtime's library lies: in the package `onnxruntime`, which is not imported for that."""

import importlib.util
import os
import pathlib
import sys


def use_onnxruntime() -> None:
    """Names the library to kgbuild, unless ORT_DYLIB_PATH names another."""
    if os.environ.get("ORT_DYLIB_PATH"):
        return
    found = importlib.util.find_spec("onnxruntime")
    pattern = {"darwin": "libonnxruntime*.dylib", "win32": "onnxruntime.dll"}.get(
        sys.platform, "libonnxruntime.so*"
    )
    for folder in (found.submodule_search_locations or []) if found else []:
        for library in sorted(pathlib.Path(folder, "capi").glob(pattern)):
            os.environ["ORT_DYLIB_PATH"] = str(library)
            return
