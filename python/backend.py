"""Builds the wheel with maturin, and tells the compilation of RocksDB's bindings where libclang is."""

import importlib.util
import os
import pathlib
import subprocess

from maturin import *  # noqa: F403


def _use_libclang() -> None:
    if "LIBCLANG_PATH" in os.environ:  # the user's own
        return
    found = importlib.util.find_spec("clang")
    for folder in found.submodule_search_locations if found else []:
        native = pathlib.Path(folder, "native")
        if native.is_dir():
            os.environ["LIBCLANG_PATH"] = str(native)
            # Its own headers do not come with it: the compiler's serve.
            compiler = os.environ.get("CC", "cc")
            include = subprocess.run(
                [compiler, "-print-file-name=include"], capture_output=True, text=True, check=True
            ).stdout.strip()
            os.environ.setdefault("BINDGEN_EXTRA_CLANG_ARGS", f"-I{include}")


_use_libclang()
