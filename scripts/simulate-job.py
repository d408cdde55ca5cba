#!/usr/bin/env python3
"""How a large job in shards runs on many machines, worked out from what its parts were measured to take.

    scripts/simulate-job.py [--subjects 100e6] [--relations 20] [--machines 100] [--shards 400] [--rows]

Nothing is asked. Each shard is begun on the machine that is free first, as a scheduler does, reads the tables, asks, and
hands over; machines differ in speed, and some of them fail and begin their shard again, where what was written counts. Then
one machine fetches what was handed over and merges it. The defaults were measured on two cores with the quickstart's models;
the commands that measure them stand beside them. Prints how long each part takes, what it holds in memory, and what the job
waits for.
"""

import argparse
import heapq
import random

MEASURED = {
    # name: (value, unit, what it is)
    "prompts": (36.0, "prompts a second", "`kgbuild run pipelines/quickstart.toml`"),
    "spread": (0.05, "deviation of a machine's speed", "runs of the same, one after the other"),
    "open": (4.0, "s to open the models", "`kgbuild run` with one question left"),
    "read": (2.8e-6, "s a subject to read and plan", "`cargo bench --bench scale -- plan`"),
    "held": (115.0, "bytes a subject in memory", "the same"),
    "quads": (9.9, "quads a fact", "`cargo bench --bench scale -- graph`"),
    "facts": (0.7, "facts a question", "the quickstart's report"),
    "hand_over": (9.0e-6, "s a quad to hand over", "`cargo bench --bench scale -- shards`"),
    "sort": (4.0e-6, "s a quad to sort rows", "`kgbuild merge` of rows less that of shards"),
    "bytes": (12.0, "bytes a quad handed over", "`cargo bench --bench scale -- shards`"),
    "merge": (4.3e-6, "s a quad to merge", "`cargo bench --bench scale -- shards`"),
    "network": (125e6, "bytes a second to the merging machine", "a gigabit, not measured"),
    "failures": (0.01, "failures a machine and day", "not measured"),
}


def simulate(subjects: float, relations: int, machines: int, shards: int, rows: bool, of: dict[str, float]) -> dict[str, float]:
    """Seconds by part, and how long all takes."""
    chance = random.Random(20261130)
    questions = subjects * relations
    facts = questions * of["facts"]
    speeds = [max(0.5, chance.gauss(1.0, of["spread"])) for _ in range(machines)]
    # A worker of rows opens its models once.
    free = [(of["open"] if rows else 0.0, machine) for machine in range(machines)]
    heapq.heapify(free)
    # By hash: each shard has its share of subjects but for the square root of that.
    share = subjects / shards
    busy = {"read": 0.0, "ask": 0.0, "hand over": 0.0, "again": 0.0}
    ends = []
    for _ in range(shards):
        start, machine = heapq.heappop(free)
        own = chance.gauss(share, share**0.5)
        # It reads nothing but its batches, and hands over what it has.
        read = 0.0 if rows else of["open"] + of["read"] * subjects
        ask = own * relations / (of["prompts"] * speeds[machine])
        hand = 0.0 if rows else of["hand_over"] * own * relations * of["facts"] * of["quads"]
        again = 0.0
        if chance.random() < of["failures"] * (read + ask + hand) / 86400:
            again = read
        for part, seconds in (("read", read), ("ask", ask), ("hand over", hand), ("again", again)):
            busy[part] += seconds / machines
        end = start + read + ask + hand + again
        ends.append(end)
        heapq.heappush(free, (end, machine))
    quads = facts * of["quads"]
    fetch = quads * of["bytes"] / of["network"]
    sort = quads * of["sort"] if rows else 0.0
    merge = quads * of["merge"]
    asked = max(ends)
    return {
        **busy,
        "waiting for the last": asked - sum(busy.values()),
        "fetch": fetch,
        "sort": sort,
        "merge": merge,
        "all": asked + fetch + sort + merge,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--subjects", type=float, default=100e6)
    parser.add_argument("--relations", type=int, default=20)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--shards", type=int, default=400)
    parser.add_argument("--rows", action="store_true", help="workers of Ray or Spark in the place of shards")
    for name, (value, unit, how) in MEASURED.items():
        text = f"{unit}, by {how}" if "measured" not in how else f"{unit} ({how})"
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value, help=text)
    asked = vars(parser.parse_args())
    shape = [asked.pop(name) for name in ("subjects", "relations", "machines", "shards", "rows")]
    parts = simulate(*shape, asked)
    subjects, relations, machines, shards, rows = shape
    how = "batches of rows" if rows else "shards"
    print(f"{subjects:,.0f} subjects by {relations} relations, {machines} machines, {shards} {how}")
    for part, seconds in parts.items():
        print(f"{part:>20} {seconds / 3600:9.1f} h {100 * seconds / parts['all']:5.1f} %")
    memory = 0.0 if rows else subjects * asked["held"] / 1e9
    print(f"memory of a worker beside its models: {memory:.1f} GB")
    print(f"handed over: {subjects * relations * asked['facts'] * asked['quads'] * asked['bytes'] / 1e9:,.0f} GB")
    last = max((part for part in parts if part != "all"), key=lambda part: parts[part])
    print(f"it waits longest for: {last}")


if __name__ == "__main__":
    main()
