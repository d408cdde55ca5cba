"""Asks a served graph by SPARQLWrapper and by rdflib's SPARQLStore."""

import sys

import rdflib
from rdflib.plugins.stores.sparqlstore import SPARQLStore
from SPARQLWrapper import CSV, JSON, POST, RDFXML, TURTLE, XML, SPARQLWrapper
from SPARQLWrapper.SPARQLExceptions import QueryBadFormed

CAPITALS = """
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
SELECT ?s ?o WHERE { ?s wdt:P36 ?o } ORDER BY ?s
"""
TRIPLES = """
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
CONSTRUCT { ?s wdt:P36 ?o } WHERE { ?s wdt:P36 ?o }
"""
WD = "http://www.wikidata.org/entity/"

address = sys.argv[1]
for method in ("GET", POST):
    client = SPARQLWrapper(address + "/sparql")
    client.setMethod(method)
    client.setQuery(CAPITALS)
    client.setReturnFormat(JSON)
    rows = client.queryAndConvert()["results"]["bindings"]
    assert [row["o"]["value"] for row in rows] == [WD + q for q in ("Q2", "Q3808", "Q90", "Q64")], rows
    client.setReturnFormat(XML)
    assert len(client.queryAndConvert().getElementsByTagName("result")) == 4
    client.setReturnFormat(CSV)
    assert client.queryAndConvert().splitlines()[0] == b"s,o"
    client.setQuery(TRIPLES)
    client.setReturnFormat(RDFXML)
    assert len(client.queryAndConvert()) == 4
    client.setReturnFormat(TURTLE)
    graph = rdflib.Graph().parse(data=client.queryAndConvert(), format="turtle")
    assert len(graph) == 4
    client.setQuery("SELECT nonsense")
    try:
        client.query()
    except QueryBadFormed as error:
        assert "line 1" in str(error), error
    else:
        raise AssertionError("a wrong query was answered")

graph = rdflib.Graph(SPARQLStore(address + "/sparql", returnFormat="json"))
label = graph.value(rdflib.URIRef(WD + "Q142"), rdflib.RDFS.label)
assert str(label) == "France", label
assert len(list(graph.query(CAPITALS))) == 4
print("ok")
