"""Holds a graph, and graphs that are wrong in one way each, against shapes that `kgbuild export` wrote.

    shapes.py FOLDER

The folder has data.ttl, shapes.ttl and wrong.json: a list of [what SHACL calls it, Turtle that is added, how
many triples are taken away first]. Ends with 1 where a graph is not judged as it should be.
"""

import json
import sys
from pathlib import Path

import pyshacl
import rdflib

FOLDER = Path(sys.argv[1])
SH = rdflib.Namespace("http://www.w3.org/ns/shacl#")
SHAPES = rdflib.Graph().parse(FOLDER / "shapes.ttl")
DATA = (FOLDER / "data.ttl").read_text()


def violations(text):
    """What is wrong with a graph, by the names of SHACL's constraints."""
    data = rdflib.Graph().parse(data=text, format="turtle")
    conforms, report, told = pyshacl.validate(data, shacl_graph=SHAPES, meta_shacl=True)
    found = {str(c).removeprefix(SH).removesuffix("ConstraintComponent")
             for c in report.objects(None, SH.sourceConstraintComponent)}
    if conforms == bool(found):
        sys.exit(f"pySHACL contradicts itself: {told}")
    return found, told


found, told = violations(DATA)
if found:
    sys.exit(f"the graph is not valid: {told}")
for component, added in json.loads((FOLDER / "wrong.json").read_text()):
    found, told = violations(DATA + added)
    if found != {component}:
        sys.exit(f"{added}: {found} instead of {component}: {told}")
print(f"pySHACL {pyshacl.__version__}: {len(SHAPES)} triples of shapes, 1 graph valid, "
      f"{len(json.loads((FOLDER / 'wrong.json').read_text()))} wrong ones found out")
