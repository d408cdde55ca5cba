"""The command `kgbuild`, as this package installs it."""

import sys

from . import _kgbuild
from ._library import use_onnxruntime


def main() -> None:
    use_onnxruntime()
    sys.exit(_kgbuild.main(sys.argv))
