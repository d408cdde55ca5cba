#!/usr/bin/env python3
"""Makes questions with gold answers of facts in ParaRel's shape, and a pipeline that asks a model.

    scripts/pararel-tables.py FACTS FOLDER [--base SOURCE] [--precision f32] [--examples 0]
    kgbuild run FOLDER && kgbuild eval FOLDER/out --gold FOLDER/gold.csv

FACTS holds facts/P*.jsonl with sub_label and obj_label, and patterns/P*.jsonl with pattern. Of each of
the first 36 relations with 100 subjects or more and a pattern that ends with the object, 34 subjects are
asked, by that pattern without its full stop; candidates are all objects of the relation's facts, so that
the majority answer is right for 0.267 of ParaRel's questions. Examples are of 20 other subjects.
"""

import argparse
import csv
import json
import random
import re
from pathlib import Path

RELATIONS, QUESTIONS, LEAST = 36, 34, 100
EXAMPLES = slice(40, 60)
NAMESPACE = "http://example.org/"
PREFIXES = f"""@prefix kgb: <https://w3id.org/kgbuild#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix e: <{NAMESPACE}> .
"""


def relations(facts: Path):
    """Each relation's name, template, and pairs of labels, one a subject."""
    files = sorted(facts.glob("facts/P*.jsonl"), key=lambda file: int(file.stem[1:]))
    for file in files:
        patterns = facts / "patterns" / file.name
        if not patterns.exists():
            continue
        texts = [json.loads(line)["pattern"].strip() for line in patterns.open()]
        ends = [text for text in texts if re.search(r"\[X\].*\[Y\] ?\.?$", text)]
        pairs = {}
        for line in file.open():
            fact = json.loads(line)
            pairs.setdefault(fact["sub_label"].strip(), fact["obj_label"].strip())
        if ends and len(pairs) >= LEAST:
            yield file.stem, re.sub(r" ?\.$", "", ends[0]), list(pairs.items())


class Tables:
    """Rows of the pipeline's tables, and the IRI of each label."""

    def __init__(self):
        self.entities = {}
        self.rows = {"subjects": [], "candidates": [], "gold": [], "examples": [], "example-entities": []}

    def entity(self, table: str, kind: str, label: str, relation: str) -> str:
        iri = self.entities.setdefault((kind, relation, label), f"{NAMESPACE}{kind}/{len(self.entities)}")
        row = (iri, label, f"{NAMESPACE}{kind}-of-{relation}")
        self.rows[table].append(row)
        return iri

    def write(self, folder: Path):
        for name, rows in self.rows.items():
            is_facts = name in ("gold", "examples")
            header = ("subject", "relation", "object") if is_facts else ("iri", "label", "types")
            with (folder / f"{name}.csv").open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("facts", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", default="model.gguf", help="where the model is")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--examples", type=int, default=0, help="how many stand before a question")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    choice, tables, ontology = random.Random(7), Tables(), PREFIXES
    for relation, template, pairs in list(relations(given.facts))[:RELATIONS]:
        ontology += f"""
e:{relation} a owl:ObjectProperty , owl:FunctionalProperty ; rdfs:label "{relation}"@en ;
    rdfs:domain e:subject-of-{relation} ; rdfs:range e:object-of-{relation} ;
    kgb:template {json.dumps(template)} .
"""
        choice.shuffle(pairs)
        objects = {}
        for label in sorted({label for _, label in pairs}):
            objects[label] = tables.entity("candidates", "object", label, relation)
        for subject, label in pairs[:QUESTIONS]:
            subject = tables.entity("subjects", "subject", subject, relation)
            tables.rows["gold"].append((subject, NAMESPACE + relation, objects[label]))
        for subject, label in pairs[EXAMPLES]:
            subject = tables.entity("example-entities", "subject", subject, relation)
            tables.rows["examples"].append((subject, NAMESPACE + relation, objects[label]))
    tables.write(given.folder)
    (given.folder / "ontology.ttl").write_text(ontology)
    pipeline = f"""[models]
base = {json.dumps(given.base)}
precision = {json.dumps(given.precision)}

[inputs]
ontology = "ontology.ttl"
subjects = "subjects.csv"
candidates = "candidates.csv"
gold = "gold.csv"

[selection]
threshold = 0.0
max_objects = 1

[output]
folder = "out"
"""
    if given.examples:
        pipeline += f"""
[examples]
facts = "examples.csv"
entities = "example-entities.csv"
count = {given.examples}
"""
    (given.folder / "pipeline.toml").write_text(pipeline)
    print(f"{len(tables.rows['gold'])} questions in {given.folder}")


if __name__ == "__main__":
    main()
