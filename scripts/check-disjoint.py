#!/usr/bin/env python3
"""Checks that what a model of the quickstart learns tells it nothing that it is asked.

    scripts/check-disjoint.py pipelines/quickstart

No two of train.csv, held-out.csv and gold.csv have a subject in common, by IRI or by any name of it,
whatever the relation; and no border that is trained is asked for from its other side.
"""

import csv
import itertools
import sys
from pathlib import Path

BORDER = "http://www.wikidata.org/prop/direct/P47"


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main(folder):
    folder = Path(folder)
    names = {}
    for file in ("subjects.csv", "candidates.csv", "learning.csv"):
        for row in table(folder / file):
            aliases = filter(None, row["aliases"].split("|"))
            names[row["iri"]] = {name.casefold() for name in (row["label"], *aliases)}
    facts = {name: table(folder / f"{name}.csv") for name in ("train", "held-out", "gold")}
    subjects = {name: {fact["subject"] for fact in rows} for name, rows in facts.items()}
    known_by = {name: set().union(*(names[s] for s in iris)) for name, iris in subjects.items()}
    mistakes = []
    for one, other in itertools.combinations(facts, 2):
        for what in (subjects, known_by):
            mistakes += [f"{s} is in {one} and {other}" for s in sorted(what[one] & what[other])]
    asked = {(f["subject"], f["object"]) for name in ("held-out", "gold") for f in facts[name]
             if f["relation"] == BORDER}
    mistakes += [f"{f['subject']} borders {f['object']} from both sides" for f in facts["train"]
                 if f["relation"] == BORDER and (f["object"], f["subject"]) in asked]
    for fact in itertools.chain(*facts.values()):
        if fact["object"] and fact["object"] not in names:
            mistakes.append(f"{fact['object']} is in no table")
    if mistakes:
        sys.exit("\n".join(mistakes))
    sizes = ", ".join(f"{len(iris)} of {name}.csv" for name, iris in subjects.items())
    print(f"disjoint: the subjects of {sizes}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
