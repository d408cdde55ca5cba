#!/usr/bin/env python3
"""Facts a second of `kgbuild run`, and of PyTorch with transformers scoring the same candidates.

    python benches/peers/predict.py [--install FOLDER] [--facts FOLDER] [--json FILE]

Needs kgbuild built and the base model that `kgbuild fetch pipelines/quickstart.toml` fetches. The
facts are the quickstart's or, with `--facts`, a folder's in the shape of ParaRel: facts/P*.jsonl with
`sub_label` and `obj_label`, patterns/P*.jsonl with `pattern`. Cases:

    multi-all    60 candidates of two tokens or more, every one scored
    multi-five   the same candidates, the best five by the exact search
    multi-one    the best one
    multi-half   those with half of all the candidates' probability or more: one, or none
    multi-trie   the best five under `normalise = "trie"`, which is another distribution
    single       60 candidates of one token, or as many as the relation has, the best five by search

All but multi-trie are of the same distribution as PyTorch's: the model's own probability of the
candidate's tokens. No candidate begins with another's tokens, so that nothing has to be said of its end.

PyTorch scores every candidate, in fp32 on as many threads, in two ways:

    usual  a prompt with a candidate is a sequence, and sequences are padded at the right, 32 to a
           batch, sorted by length, with logits at every position. Of a sequence the last token is not
           fed, and what is the same then is asked once, as lm-evaluation-harness does: candidates of
           one token cost one sequence a prompt.
    lean   64 to a batch; prompts once, candidates of equal length behind their keys and values, and
           logits at the needed positions only

Seconds are those of the work: kgbuild's from its report.json, from the labels to the written graph,
and PyTorch's from prepared tokens to ln p. Neither has the loading of models. What kgbuild answers is
held against PyTorch, and the exit code is 1 where they differ. What kgbuild computes is counted by its
report: tokens; PyTorch computes all that its sequences have. Versions: requirements.txt beside this.
"""

import argparse
import copy
import csv
import io
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TQDM_DISABLE"] = "1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

try:
    import gguf  # noqa: F401, with which transformers reads the model
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

    MISSING = None
except ImportError as missing:
    MISSING = missing

ROOT = Path(__file__).resolve().parent.parent.parent
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
QUICKSTART = ROOT / "pipelines/quickstart"
PREFIXES = {"wd": "http://www.wikidata.org/entity/", "wdt": "http://www.wikidata.org/prop/direct/"}

THREADS, SEED, CANDIDATES = 2, 1, 60
USUAL, LEAN = 32, 64
TOLERANCE = 1e-3


class Case(NamedTuple):
    """How candidates' tokens are counted, `normalise` and `method` under [prediction], and what is
    written: so many objects at most, from this confidence on."""

    kind: str
    normalise: str
    method: str
    most: int
    threshold: float


CASES = {
    "multi-all": Case("multi", "none", "exhaustive", 5, 0),
    "multi-five": Case("multi", "none", "search", 5, 0),
    "multi-one": Case("multi", "none", "search", 1, 0),
    "multi-half": Case("multi", "none", "search", 5, 0.5),
    "multi-trie": Case("multi", "trie", "search", 5, 0),
    "single": Case("single", "none", "search", 5, 0),
}
FITS = {"multi": lambda tokens: tokens >= 2, "single": lambda tokens: tokens == 1}

PIPELINE = """\
# A case of benches/peers/predict.py, which made this folder.

[models]
base = {{ source = "{source}", sha256 = "{sha256}" }}

[inputs]
ontology = "ontology.ttl"
subjects = "subjects.csv"
candidates = "candidates.csv"

[correction]
method = "none"
mean = 0

[prediction]
normalise = "{normalise}"
method = "{method}"

[selection]
threshold = {threshold}
max_objects = {most}

[runtime]
threads = {threads}
device = "cpu"

[output]
folder = "graph"
"""

ONTOLOGY = """\
@prefix kgb:  <https://w3id.org/kgbuild#> .
@prefix owl:  <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
"""

RELATION = """
<{iri}> a owl:ObjectProperty ;
    rdfs:label {name} ;
    rdfs:domain <{iri}:subjects> ;
    rdfs:range <{iri}:objects> ;
    kgb:template {template} .
"""

ANSWERS = "SELECT ?s ?o ?p WHERE { ?s ?r ?o {| kgb:baseProbability ?p |} }"


class Source(NamedTuple):
    """What is known of a relation: for each subject its objects, and what may be an object."""

    name: str
    template: str
    facts: list
    labels: list


class Relation(NamedTuple):
    """A relation as it is asked: (subject, object) pairs and the labels of the candidates."""

    name: str
    template: str
    facts: list
    candidates: list

    @property
    def iri(self):
        return f"urn:predict:{self.name}"


class Question(NamedTuple):
    """A fact as tokens. `places` has for each candidate the number of its result."""

    subject: str
    prompt: list
    candidates: list
    objects: list
    places: range


class Batch(NamedTuple):
    """Sequences, the positions of which logits are needed, and which of their ln p goes where."""

    ids: "torch.Tensor"
    rows: "torch.Tensor"
    columns: "torch.Tensor"
    picks: "torch.Tensor"
    tokens: "torch.Tensor"
    places: "torch.Tensor"


# Where the facts come from.


def usable(patterns):
    """The first pattern that ends with the object, without its full stop; none where there is none."""
    for pattern in patterns:
        pattern = re.sub(r"\s*\.?\s*$", "", pattern.strip())
        once = pattern.count("[X]") == pattern.count("[Y]") == 1
        if once and pattern.endswith(" [Y]"):
            return pattern
    return None


def table(file):
    with open(file, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def statements(file):
    """Subject and predicates of each statement of a Turtle file that is laid out as the shipped ones."""
    text = re.sub(r"^\s*#.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for statement in re.split(r"\s\.\s*$", text, flags=re.MULTILINE):
        subject, _, rest = statement.strip().partition(" ")
        prefix, _, local = subject.partition(":")
        if prefix in PREFIXES:
            yield PREFIXES[prefix] + local, rest


def shipped():
    """The quickstart's relations."""
    templates, ranges, parents = defaultdict(list), {}, {}
    for file in (ROOT / "ontologies/world.ttl", QUICKSTART / "templates.ttl"):
        for iri, rest in statements(file):
            for listed in re.findall(r'kgb:template\s+("[^"]*"(?:\s*,\s*"[^"]*")*)', rest):
                templates[iri] += re.findall(r'"([^"]*)"', listed)
            for where, found in (
                (ranges, re.search(r"rdfs:range\s+wd:(\w+)", rest)),
                (parents, re.search(r"rdfs:subClassOf\s+wd:(\w+)", rest)),
            ):
                if found:
                    where[iri] = PREFIXES["wd"] + found[1]
    names, members = {}, defaultdict(list)
    for row in table(QUICKSTART / "subjects.csv"):
        names[row["iri"]] = row["label"]
    for row in table(QUICKSTART / "candidates.csv"):
        names[row["iri"]] = row["label"]
        for kind in filter(None, row["types"].split("|")):
            while kind:
                members[kind].append(row["label"])
                kind = parents.get(kind)
    facts = defaultdict(lambda: defaultdict(list))
    for row in table(QUICKSTART / "gold.csv"):
        if row["object"]:
            facts[row["relation"]][names[row["subject"]]].append(names[row["object"]])
    return [
        Source(iri.rsplit("/", 1)[1], usable(templates[iri]), list(known.items()), members[ranges[iri]])
        for iri, known in sorted(facts.items())
    ]


def given(folder):
    """The relations of a folder in the shape of ParaRel."""
    sources = []
    for file in sorted((folder / "facts").glob("P*.jsonl")):
        patterns = folder / "patterns" / file.name
        if not patterns.is_file():
            continue
        lines = [json.loads(line) for line in open(patterns, encoding="utf-8") if line.strip()]
        facts = defaultdict(list)
        for line in open(file, encoding="utf-8"):
            if line.strip():
                fact = json.loads(line)
                facts[fact["sub_label"].strip()].append(fact["obj_label"].strip())
        labels = [label for objects in facts.values() for label in objects]
        sources.append(Source(file.stem, usable(line["pattern"] for line in lines), list(facts.items()), labels))
    if not sources:
        sys.exit(f"{folder}: no facts/P*.jsonl with patterns of the same name")
    return sources


def begins_another(labels, encode):
    """The labels whose tokens are the first of another's."""
    encoded = sorted((encode(f" {label}"), label) for label in labels)
    pairs = zip(encoded, encoded[1:])
    return {label for (tokens, label), (following, _) in pairs if following[: len(tokens)] == tokens}


def chosen(sources, kind, encode, arguments):
    """The relations of a case: those with the most candidates first, their facts in equal shares."""
    labels = {label for source in sources for label in source.labels if label}
    nested = begins_another(labels, encode)

    def fits(label):
        return label and label not in nested and FITS[kind](len(encode(f" {label}")))

    draw = random.Random(f"{SEED} {kind}")
    known = []
    for source in sources:
        own = sorted(filter(fits, set(source.labels)))
        facts = [(subject, next(filter(fits, objects), None)) for subject, objects in source.facts]
        facts = [(subject, label) for subject, label in facts if subject and label]
        if facts and source.template and len(own) > 1:
            known.append((source, own, facts))
    others = sorted({label for _, own, _ in known for label in own})
    known = [k for k in known if not arguments.only or k[0].name in arguments.only]
    known.sort(key=lambda k: (-min(len(k[1]), CANDIDATES), -len(k[2]), k[0].name))
    used = arguments.relations
    while used < len(known) and sum(len(facts) for *_, facts in known[:used]) < arguments.facts_count:
        used += 1
    shares = share(arguments.facts_count, [len(facts) for *_, facts in known[:used]])
    relations = []
    for (source, own, facts), wanted in zip(known, shares):
        draw.shuffle(facts)
        space, taken = {}, []
        for subject, label in facts:
            if len(taken) < wanted and (label in space or len(space) < CANDIDATES):
                space[label] = None
                taken.append((subject, label))
        # Few relations have so many candidates of several tokens: others' help out.
        for more in [own, others] if kind == "multi" else [own]:
            more = [label for label in more if label not in space]
            space.update(dict.fromkeys(draw.sample(more, min(len(more), CANDIDATES - len(space)))))
        if taken:
            relations.append(Relation(source.name, source.template, taken, sorted(space)))
    if not relations:
        sys.exit(f"{kind}: no relation has such candidates")
    return relations


def share(count, available):
    """`count` in shares as equal as `available` lets them be."""
    shares = [0] * len(available)
    while sum(shares) < min(count, sum(available)):
        open_ones = [at for at, most in enumerate(available) if shares[at] < most]
        for at in open_ones[: count - sum(shares)]:
            shares[at] += 1
    return shares


# kgbuild's side.


def write(folder, relations, case):
    """Writes a case's pipeline."""
    settings = CASES[case]._asdict() | {"threads": THREADS} | base()
    folder.mkdir(parents=True, exist_ok=True)
    ontology, subjects, objects = ONTOLOGY, [], []
    for relation in relations:
        # A JSON string is a Turtle string.
        name, template = (json.dumps(t, ensure_ascii=False) for t in (relation.name, relation.template))
        ontology += RELATION.format(iri=relation.iri, name=name, template=template)
        kinds = (
            ("subject", subjects, [subject for subject, _ in relation.facts]),
            ("object", objects, relation.candidates),
        )
        for kind, rows, labels in kinds:
            for number, label in enumerate(labels):
                rows.append((f"{relation.iri}:{kind}:{number}", label, f"{relation.iri}:{kind}s"))
    (folder / "ontology.ttl").write_text(ontology, encoding="utf-8")
    for name, rows in (("subjects", subjects), ("candidates", objects)):
        with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("iri", "label", "types"))
            writer.writerows(rows)
    (folder / "pipeline.toml").write_text(PIPELINE.format(**settings), encoding="utf-8")


def call(*command):
    """What a command prints. A failure ends this program with what it said."""
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def run(kgbuild, folder):
    """Seconds of a run, without the loading of the model, and its tokens."""
    call(kgbuild, "run", folder / "pipeline.toml", "--fresh", "--quiet")
    report = json.loads((folder / "graph/report.json").read_text())
    if not report["complete"]:
        sys.exit(f"{folder}: the run is not complete")
    return report["seconds"], report["tokens"]


def answers(kgbuild, folder):
    """By subject its objects with their probabilities, from the graph."""
    found = defaultdict(dict)
    text = call(kgbuild, "query", folder / "graph", ANSWERS, "--format", "csv")
    for row in csv.DictReader(io.StringIO(text)):
        found[row["s"]][row["o"]] = float(row["p"])
    return found


# PyTorch's side.


def questions(relations, encode):
    """The facts as tokens, in order."""
    asked, results = [], 0
    for relation in relations:
        candidates = [encode(f" {label}") for label in relation.candidates]
        objects = [f"{relation.iri}:object:{number}" for number in range(len(candidates))]
        for number, (subject, _) in enumerate(relation.facts):
            prompt = encode(relation.template.removesuffix(" [Y]").replace("[X]", subject))
            places = range(results, results + len(candidates))
            asked.append(
                Question(f"{relation.iri}:subject:{number}", prompt, candidates, objects, places)
            )
            results = places.stop
    return asked


def batch(sequences, left=False):
    """Makes a batch of (tokens, [(position, token, place)]), padded at the right or at the left."""
    longest = max(len(tokens) for tokens, _ in sequences)
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    positions, wanted = {}, []
    for row, (tokens, wants) in enumerate(sequences):
        start = longest - len(tokens) if left else 0
        ids[row, start : start + len(tokens)] = torch.tensor(tokens)
        for position, token, place in wants:
            pick = positions.setdefault((row, start + position), len(positions))
            wanted.append((pick, token, place))
    rows, columns = zip(*positions)
    return Batch(ids, *map(torch.tensor, (rows, columns, *zip(*wanted))))


def cut(items, size, length):
    """Pieces of `size` of the items, the longest first."""
    items = sorted(items, key=length, reverse=True)
    return [items[at : at + size] for at in range(0, len(items), size)]


def behind(question, first):
    """What is fed behind a prompt, with what is wanted of it, its positions counted from `first`.

    A candidate's last token is not fed, and what is the same then comes once.
    """
    wants = defaultdict(list)
    for tokens, place in zip(question.candidates, question.places):
        wanted = [(first + at, token, place) for at, token in enumerate(tokens)]
        wants[tuple(tokens[:-1])] += [want for want in wanted if want[0] >= 0]
    return wants


def take(results, logits, batch):
    """Adds what a batch says of its tokens to the candidates' ln p."""
    values = logits.log_softmax(-1)[batch.picks, batch.tokens]
    results.index_add_(0, batch.places, values.double())


class Usual:
    """Every candidate behind every prompt."""

    def __init__(self, asked):
        sequences = [
            (question.prompt + list(fed), wants)
            for question in asked
            for fed, wants in behind(question, len(question.prompt) - 1).items()
        ]
        self.sequences, self.results = len(sequences), asked[-1].places.stop
        self.batches = [batch(piece) for piece in cut(sequences, USUAL, lambda s: len(s[0]))]
        self.tokens = sum(batch.ids.numel() for batch in self.batches)

    def __call__(self, model, most=None):
        results = torch.zeros(self.results, dtype=torch.double)
        for batch in self.batches[:most]:
            # No mask: with the padding at the right nothing that is read sees it.
            logits = model(input_ids=batch.ids, use_cache=False).logits
            take(results, logits[batch.rows, batch.columns], batch)
        return results


class Lean:
    """Every prompt once, and candidates behind it."""

    def __init__(self, asked):
        self.results, self.groups, self.sequences = asked[-1].places.stop, [], len(asked)
        for piece in cut(asked, LEAN, lambda q: len(q.prompt)):
            prompts, by_length = [], defaultdict(list)
            for owner, question in enumerate(piece):
                last = len(question.prompt) - 1
                wants = [
                    (last, tokens[0], place)
                    for tokens, place in zip(question.candidates, question.places)
                ]
                prompts.append((question.prompt, wants))
                for fed, wants in behind(question, -1).items():
                    if fed:
                        by_length[len(fed)].append((owner, (fed, wants)))
            longest = max(len(tokens) for tokens, _ in prompts)
            lengths = torch.tensor([len(tokens) for tokens, _ in prompts])
            mask = (torch.arange(longest) >= longest - lengths[:, None]).long()
            continued = []
            for same in by_length.values():
                self.sequences += len(same)
                for part in cut(same, LEAN, lambda s: s[0]):
                    owners = torch.tensor([owner for owner, _ in part])
                    continued.append((owners, batch([sequence for _, sequence in part])))
            self.groups.append((batch(prompts, left=True), mask, lengths, continued))
        asks = [prompts for prompts, *_ in self.groups]
        asks += [part for *_, continued in self.groups for _, part in continued]
        self.tokens = sum(part.ids.numel() for part in asks)

    def __call__(self, model, most=None):
        results = torch.zeros(self.results, dtype=torch.double)

        def ask(batch, **inputs):
            hidden = model.model(input_ids=batch.ids, **inputs).last_hidden_state
            take(results, model.lm_head(hidden[batch.rows, batch.columns]), batch)

        for prompts, mask, lengths, continued in self.groups[:most]:
            cache = DynamicCache() if continued else None
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            kept = {"past_key_values": cache, "use_cache": bool(continued)}
            ask(prompts, attention_mask=mask, position_ids=positions, **kept)
            for owners, batch in continued[:most]:
                # Copies that the model may add to, of the prompts' keys and values.
                past = DynamicCache()
                for layer in cache.layers:
                    layer = copy.copy(layer)
                    layer.batch_select_indices(owners)
                    past.layers.append(layer)
                fed = batch.ids.shape[1]
                ask(
                    batch,
                    attention_mask=torch.cat([mask[owners], mask.new_ones(len(owners), fed)], 1),
                    position_ids=lengths[owners, None] + torch.arange(fed),
                    past_key_values=past,
                    use_cache=True,
                )
        return results


def own(asked, results):
    """By question p of each candidate."""
    ranges = (question.places for question in asked)
    return [results[places.start : places.stop].exp().tolist() for places in ranges]


def at_branchings(model, asked):
    """By question p of each candidate, normalised at each branching of the candidates' tokens."""
    trees, sequences, size = [], [], 0
    for question in asked:
        ends = {tuple(tokens) for tokens in question.candidates}
        after = defaultdict(dict)
        for tokens in ends:
            for at, token in enumerate(tokens):
                after[tokens[:at]][token] = None
        places = {}
        for path, ways in after.items():
            if len(ways) + (path in ends) > 1:
                places[path] = range(size, size + len(ways))
                size += len(ways)
                position = len(question.prompt) + len(path) - 1
                wants = [(position, token, place) for token, place in zip(ways, places[path])]
                sequences.append((question.prompt + list(path), wants))
        trees.append((question, ends, after, places))
    results = torch.zeros(size, dtype=torch.double)
    for piece in cut(sequences, LEAN, lambda sequence: len(sequence[0])):
        part = batch(piece)
        hidden = model.model(input_ids=part.ids, use_cache=False).last_hidden_state
        take(results, model.lm_head(hidden[part.rows, part.columns]), part)
    results = results.tolist()
    return [spread(*tree, results) for tree in trees]


def spread(question, ends, after, places, results):
    """p of a question's candidates from ln p of the ways on at each branching."""
    masses = {(): 1.0}
    for path in sorted({*after, *ends}, key=len):
        # One way on takes all the mass.
        ways = [1.0]
        if path in places:
            ways = [math.exp(results[place]) for place in places[path]]
            if path in ends:
                # What does not lead to a longer candidate ends this one.
                ways.append(max(0.0, 1 - sum(ways)))
        mass, total = masses[path], sum(ways)
        for token, way in zip(after.get(path, ()), ways):
            masses[*path, token] = mass * way / total
        if path in ends:
            masses[path] = mass * ways[-1] / total
    return [masses[tuple(tokens)] for tokens in question.candidates]


# Both.


def differences(case, asked, found, expected):
    """The largest difference of a written object's ln p, and how often other objects are written.

    What PyTorch finds equal but for the tolerance is equally good.
    """
    largest, others = 0.0, 0
    for question, theirs in zip(asked, expected):
        ours = found.get(question.subject, {})
        by_object = dict(zip(question.objects, theirs))
        largest = max([largest, *(abs(math.log(p / by_object[iri])) for iri, p in ours.items())])
        least = CASES[case].threshold * sum(theirs)
        ranked = sorted(theirs, reverse=True)[: CASES[case].most]
        surely = sum(p > least * (1 + TOLERANCE) for p in ranked)
        maybe = sum(p >= least * (1 - TOLERANCE) for p in ranked)
        worse = any(by_object[iri] < ranked[-1] * (1 - TOLERANCE) for iri in ours)
        others += worse or not surely <= len(ours) <= maybe
    return {"largest": largest, "other": others}


def measure(kind, sources, model, encode, folder, arguments):
    """Measures the cases of a kind. Gives a row for each."""
    relations = chosen(sources, kind, encode, arguments)
    cases = [case for case, of in CASES.items() if of.kind == kind]
    for case in cases:
        write(folder / case, relations, case)
    asked = questions(relations, encode)
    ways = {"usual": Usual(asked), "lean": Lean(asked)}
    for case in cases:
        run(arguments.kgbuild, folder / case)
    for way in ways.values():
        way(model, most=2)
    seconds, tokens, results = defaultdict(list), {}, {}
    for number in range(arguments.rounds):
        for case in cases:
            spent, tokens[case] = run(arguments.kgbuild, folder / case)
            seconds[case].append(spent)
        for name, way in ways.items():
            start = time.perf_counter()
            results[name] = way(model)
            seconds[name].append(time.perf_counter() - start)
        told = ", ".join(f"{name} {spent[-1]:.2f} s" for name, spent in seconds.items())
        print(f"{kind}, round {number + 1} of {arguments.rounds}: {told}", file=sys.stderr, flush=True)
    expected = {name: own(asked, values) for name, values in results.items()}
    rows = []
    for case in cases:
        found = answers(arguments.kgbuild, folder / case)
        trie = CASES[case].normalise == "trie"
        same = {"at branchings": at_branchings(model, asked)} if trie else expected
        spent = {"kgbuild": seconds[case]} | {name: seconds[name] for name in ways}
        medians = {name: statistics.median(each) for name, each in spent.items()}
        rows.append({
            "case": case,
            "relations": {r.name: [len(r.facts), len(r.candidates)] for r in relations},
            "facts": len(asked),
            "tokens": {"kgbuild": tokens[case]} | {name: way.tokens for name, way in ways.items()},
            "sequences": {name: way.sequences for name, way in ways.items()},
            "seconds": spent,
            "median": medians,
            "facts_per_second": {name: len(asked) / median for name, median in medians.items()},
            "ratio": {name: medians[name] / medians["kgbuild"] for name in ways},
            "differences": {
                way: differences(case, asked, found, values) for way, values in same.items()
            },
        })
    return rows


def base():
    """Source and hash of the quickstart's base model."""
    return tomllib.loads((ROOT / "pipelines/quickstart.toml").read_text(encoding="utf-8"))["models"]["base"]


def fetched():
    """The base model's file in kgbuild's cache."""
    cache = os.environ.get("KGBUILD_CACHE")
    if not cache:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kgbuild"
    package, version, inside = re.fullmatch(r"pypi:(.+)==(.+)#(.+)", base()["source"]).groups()
    file = Path(cache) / "pypi" / f"{package}-{version}" / inside
    if not file.is_file():
        sys.exit(f"the base model is missing: kgbuild fetch pipelines/quickstart.toml\n{file}")
    return file


def install(folder):
    """Makes a virtual environment of the requirements, where there is none, and goes on in it."""
    folder = folder.resolve()
    if Path(sys.prefix).resolve() == folder:
        return
    python, mark = folder / "bin/python", folder / "requirements.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if not mark.is_file() or mark.read_text(encoding="utf-8") != wanted:
        print(f"installing PyTorch and transformers into {folder}", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*pip, "-r", REQUIREMENTS]).returncode:
            sys.exit("the requirements could not be installed")
        mark.write_text(wanted, encoding="utf-8")
    os.execv(python, [python, Path(__file__).resolve(), *sys.argv[1:]])


def show(rows):
    """Prints the table, and what was compared."""
    lines = [("case", "facts", "candidates", "by", "tokens", "seconds", "facts/s", "kgbuild has")]
    for row in rows:
        sizes = sorted({candidates for _, candidates in row["relations"].values()})
        candidates = " to ".join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))
        about = (row["case"], str(row["facts"]), candidates)
        for way, seconds in row["median"].items():
            ratio = f"{row['ratio'][way]:.2f} times" if way in row["ratio"] else ""
            figures = (f"{seconds:.3f}", f"{row['facts_per_second'][way]:.2f}", ratio)
            lines.append((*about, way, str(row["tokens"][way]), *figures))
            about = ("", "", "")
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        # Words at the left, numbers at the right.
        cells = [cell.rjust(width) for cell, width in zip(line, widths)]
        cells[0], cells[3] = line[0].ljust(widths[0]), line[3].ljust(widths[3])
        print("  ".join(cells).rstrip())
    for row in rows:
        for way, found in row["differences"].items():
            print(
                f"{row['case']} against PyTorch, {way}: ln p differs by at most {found['largest']:.1e}, "
                f"other objects are written {found['other']} times",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--install", type=Path, help="work in this virtual environment, made if need be")
    parser.add_argument("--facts", type=Path, help="facts in the shape of ParaRel's")
    parser.add_argument("--facts-count", type=int, default=128, help="facts a case (128)")
    parser.add_argument(
        "--relations", type=int, default=4, help="relations a case, or more if these have too few facts (4)"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of these relations only, as P36")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed (3)")
    parser.add_argument("--work", type=Path, help="leave the pipelines in this folder")
    parser.add_argument("--kgbuild", type=Path, help="the program, where it is not in target/release")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    if arguments.install:
        install(arguments.install)
    if MISSING:
        sys.exit(f"nothing to compare with: {MISSING}; --install FOLDER installs it there")
    if min(arguments.facts_count, arguments.relations, arguments.rounds) < 1:
        parser.error("--facts-count, --relations and --rounds are 1 or more")
    if not arguments.kgbuild:
        arguments.kgbuild = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release/kgbuild"
    if not arguments.kgbuild.is_file():
        sys.exit(f"{arguments.kgbuild} is missing: make build, or --kgbuild FILE")
    arguments.kgbuild = arguments.kgbuild.resolve()
    sources = given(arguments.facts) if arguments.facts else shipped()
    torch.set_num_threads(THREADS)
    file = fetched()
    options = {"gguf_file": file.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **options)
    model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **options).eval()

    def encode(text):
        return tokenizer(text, add_special_tokens=False).input_ids

    rows = []
    with tempfile.TemporaryDirectory() as temporary, torch.inference_mode():
        folder = arguments.work or Path(temporary)
        for kind in FITS:
            rows += measure(kind, sources, model, encode, folder, arguments)
    show(rows)
    if arguments.json:
        result = {
            "kgbuild": call(arguments.kgbuild, "--version").split()[-1],
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "threads": THREADS,
            "rounds": arguments.rounds,
            "facts": "given" if arguments.facts else "shipped",
            "cases": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    found = [each for row in rows for each in row["differences"].values()]
    if any(each["largest"] > TOLERANCE or each["other"] for each in found):
        sys.exit("kgbuild and PyTorch differ")


if __name__ == "__main__":
    main()
