"""Knowledge graphs from what language models know, corrected for Frequency Shock.

    import kgbuild

    pipeline = kgbuild.Pipeline("pipeline.toml")
    pipeline.run()
    graph = kgbuild.Graph(pipeline.output)
    table = graph.query("SELECT ?s ?o { ?s wdt:P36 ?o }")  # a pyarrow table
    table.to_pandas()

Errors are `kgbuild.Error`, those that you can mend `kgbuild.InputError`, with the texts of the command line.
"""

from ._graph import Graph, evaluate, merge
from ._kgbuild import Error, InputError, __version__
from ._pipeline import Pipeline, finetune, init

__all__ = [
    "Error",
    "Graph",
    "InputError",
    "Pipeline",
    "__version__",
    "evaluate",
    "finetune",
    "init",
    "merge",
]
