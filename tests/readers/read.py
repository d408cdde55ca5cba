"""Reads what `kgbuild export` wrote with the libraries that it was written for.

    read.py FOLDER

The folder has the exports, under the names that tests/readers/main.rs gives them, and facts.json: what
must be in each. Ends with 1 at the first file that says something else.
"""

import json
import sys
from pathlib import Path

import networkx
import pandas
import pyarrow.parquet
import pyoxigraph
import rdflib
import rdflib.compare

WD, WDT = "http://www.wikidata.org/entity/", "http://www.wikidata.org/prop/direct/"
CAPITAL = rdflib.URIRef(WDT + "P36")
KGB = rdflib.Namespace("https://w3id.org/kgbuild#")
FOLDER = Path(sys.argv[1])
FACTS = {
    (subject, target): (label, object_label, confidence)
    for subject, target, label, object_label, confidence in json.loads((FOLDER / "facts.json").read_text())
}


def same(what, found, expected):
    """Ends the program where two things differ."""
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")


def by_rdflib(name):
    graph = rdflib.Dataset(default_union=True) if name.startswith("named") else rdflib.Graph()
    graph.parse(FOLDER / name)
    return graph


def rdf():
    """Triples, labels, and confidences where a file has them, by rdflib."""
    expected = {(WD + s, WD + o) for s, o in FACTS}
    names = ["none.ttl", "reification.ttl", "none.jsonld", "usual.jsonld", "usual.rdf"]
    for name in [*names, "named.jsonld", "named.trig", "named.nq", "reification.nt"]:
        graph = by_rdflib(name)
        same(name, {(str(s), str(o)) for s, o in graph.subject_objects(CAPITAL)}, expected)
        for (subject, target), (label, object_label, confidence) in FACTS.items():
            found = {str(x) for x in graph.objects(rdflib.URIRef(WD + subject), rdflib.RDFS.label)}
            same(f"{name}, label of {subject}", found, {label})
            found = {str(x) for x in graph.objects(rdflib.URIRef(WD + target), rdflib.RDFS.label)}
            same(f"{name}, label of {target}", found, {object_label})
            if name.startswith("none"):
                same(name, list(graph.subject_objects(KGB.confidence)), [])
                continue
            about = f"<{WD}{subject}> <{CAPITAL}> <{WD}{target}>"
            if name.startswith("named"):
                query = f"SELECT ?c {{ GRAPH ?r {{ {about} }} ?r <{KGB.confidence}> ?c }}"
            else:
                parts = about.split(" ")
                query = (
                    f"SELECT ?c {{ ?r rdf:subject {parts[0]} ; rdf:predicate {parts[1]} ; "
                    f"rdf:object {parts[2]} ; <{KGB.confidence}> ?c }}"
                )
            found = {float(row.c) for row in graph.query(query)}
            same(f"{name}, confidence of {subject}", found, {confidence})
        print(f"rdflib {rdflib.__version__}: {name}, {len(graph)} triples")


def everything():
    """The same graph with schema, aliases, provenance and description in each format, by rdflib."""
    expected = rdflib.Graph().parse(FOLDER / "all.nt")
    for name in ("all.ttl", "all.jsonld", "all.rdf"):
        same(name, rdflib.compare.isomorphic(by_rdflib(name), expected), True)
    ask = """ASK { ?dataset a void:Dataset, dcat:Dataset ; void:entities 6 ;
        void:propertyPartition [ void:property ?p ; void:triples 3 ] ; prov:wasGeneratedBy ?run .
        ?run a prov:Activity . ?p a owl:ObjectProperty ; rdfs:range/owl:unionOf/rdf:rest*/rdf:first ?class .
        ?class rdfs:subClassOf ?city . ?o skos:altLabel ?other }"""
    same("all.nt", expected.query(ask).askAnswer, True)
    lines = (FOLDER / "usual.jsonld").read_text().splitlines()
    same("usual.jsonld", any(line.startswith('{"@id":"g:') for line in lines), True)
    same("usual.jsonld", any(line.startswith('{"@id":"wd:Q142"') for line in lines), True)
    print(f"rdflib {rdflib.__version__}: all.*, {len(expected)} triples each")


def rdf12():
    """The default Turtle and N-Quads, by pyoxigraph."""
    for name in ("rdf12.ttl", "rdf12.nq"):
        store = pyoxigraph.Store()
        store.load(path=str(FOLDER / name))
        query = f"SELECT ?s ?o ?c {{ ?s <{CAPITAL}> ?o {{| <{KGB.confidence}> ?c |}} }}"
        found = {(r["s"].value, r["o"].value, float(r["c"].value)) for r in store.query(query)}
        same(name, found, {(WD + s, WD + o, confidence) for (s, o), (_, _, confidence) in FACTS.items()})
        print(f"pyoxigraph {pyoxigraph.__version__}: {name}, {len(store)} triples")


def tables():
    """Nodes and edges, by pandas and networkx."""
    expected = {(WD + s, WD + o): confidence for (s, o), (_, _, confidence) in FACTS.items()}
    labels = {WD + s: label for (s, _), (label, _, _) in FACTS.items()}
    labels |= {WD + o: label for (_, o), (_, label, _) in FACTS.items()}
    for folder, columns in (
        ("csv", ("subject", "object", "confidence", "iri", "label")),
        ("neo4j", (":START_ID", ":END_ID", "confidence:double", "iri:ID", "label")),
    ):
        edges = pandas.read_csv(FOLDER / folder / "edges.csv")
        nodes = pandas.read_csv(FOLDER / folder / "nodes.csv", keep_default_na=False)
        subject, target, confidence, iri, label = columns
        found = {(row[subject], row[target]): row[confidence] for _, row in edges.iterrows()}
        same(folder, found, expected)
        same(folder, dict(zip(nodes[iri], nodes[label])), labels)
        print(f"pandas {pandas.__version__}: {folder}, {len(nodes)} nodes, {len(edges)} edges")
    edges, nodes = (pandas.read_parquet(FOLDER / "parquet" / f"{name}.parquet") for name in ("edges", "nodes"))
    same("parquet", dict(zip(zip(edges.subject, edges.object), edges.confidence)), expected)
    same("parquet", dict(zip(nodes.iri, nodes.label)), labels)
    same("parquet", {str(edges.confidence.dtype), str(edges.base_probability.dtype)}, {"float64"})
    same("parquet", sorted(map(len, nodes.aliases)), [0, 0, 0, 1, 1, 1])
    same("parquet", sorted(map(list, nodes.types))[-1], [WD + "Q6256"])
    same("parquet", edges.corrected_probability.isna().all(), True)
    with pyarrow.parquet.ParquetFile(FOLDER / "parquet" / "edges.parquet") as file:
        print(f"pyarrow {pyarrow.__version__}: {len(nodes)} nodes, {len(edges)} edges, "
              f"{file.metadata.row_group(0).column(0).compression}")
    graph = networkx.read_graphml(FOLDER / "graph.graphml")
    same("graphml", {(s, o): data["confidence"] for s, o, data in graph.edges(data=True)}, expected)
    same("graphml", {node: data["label"] for node, data in graph.nodes(data=True)}, labels)
    print(f"networkx {networkx.__version__}: {graph}")
    lines = pandas.read_json(FOLDER / "edges.jsonl", lines=True)
    found = {(s["iri"], o["iri"]): c for s, o, c in zip(lines.subject, lines.object, lines.confidence)}
    same("jsonl", found, expected)


rdf()
everything()
rdf12()
tables()
