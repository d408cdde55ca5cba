"""`python -m kgbuild`: the command."""

from ._command import main

main()
