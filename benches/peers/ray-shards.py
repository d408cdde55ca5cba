#!/usr/bin/env python3
"""Two workers of Ray beside two shards: the quickstart's questions, each asked of several subjects of the same name.

    benches/peers/ray-shards.py [COPIES]

in a Python that has kgbuild and `ray[data]`. Both make the same graph of the same plan, with one thread each, and merge it. Prints
seconds and the largest memory of a process of each, and whether the graphs differ.
"""

import csv
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import kgbuild
import kgbuild.ray
import ray

REPOSITORY = pathlib.Path(__file__).parents[2]


def job(folder: pathlib.Path, copies: int) -> pathlib.Path:
    """The quickstart's pipeline over several copies of its subjects, in a folder."""
    shutil.copytree(REPOSITORY / "pipelines", folder / "pipelines")
    shutil.copytree(REPOSITORY / "ontologies", folder / "ontologies")
    table = folder / "pipelines/quickstart/subjects.csv"
    rows = list(csv.DictReader(table.open(encoding="utf-8", newline="")))
    with table.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        for copy in range(copies):
            own = "" if copy == 0 else f"#{copy}"
            writer.writerows({**row, "iri": row["iri"] + own} for row in rows)
    return folder / "pipelines/quickstart.toml"


def lines(output: pathlib.Path) -> list[str]:
    file = output.with_suffix(".nq")
    parts = ["schema", "labels", "aliases", "provenance"]
    kgbuild.Graph(output).export(file, format="n-quads", include=parts)
    return sorted(line for line in file.read_text().splitlines() if "AtTime>" not in line)


def resident() -> float:
    """The largest memory that a process of Ray's workers has, in MB."""
    found = [0.0]
    for path in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            name = (path.parent / "cmdline").read_bytes()
            text = path.read_text()
        except OSError:
            continue
        if name.startswith(b"ray::MapWorker"):
            found += [int(line.split()[1]) / 1e3 for line in text.splitlines() if line.startswith("VmHWM")]
    return max(found)


def main() -> None:
    copies = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        file = job(pathlib.Path(folder), copies)
        pipeline = kgbuild.Pipeline(file)
        pipeline.share_means()
        output = pipeline.output
        plan = output / "shards" / "plan"
        kept = pathlib.Path(folder, "plan")
        shutil.copytree(plan, kept)

        start = time.monotonic()
        command = [sys.executable, "-m", "kgbuild", "run", str(file), "--processes", "2", "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shards = time.monotonic() - start
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
        expected = lines(output)
        print(f"two shards: {shards:.1f} s, {memory:.0f} MB", flush=True)

        shutil.rmtree(output)
        shutil.copytree(kept, plan)
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        ray.data.DataContext.get_current().enable_progress_bars = False
        most = [0.0]
        stop = ray_memory(most)
        start = time.monotonic()
        kgbuild.ray.run(file, workers=2)
        seconds = time.monotonic() - start
        stop()
        print(f"two workers of Ray: {seconds:.1f} s, {most[0]:.0f} MB, {seconds / shards:.2f} times the shards'")
        print(f"{len(set(expected) ^ set(lines(output)))} lines of the graphs differ")


def ray_memory(most: list[float]):
    import threading

    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            most[0] = max(most[0], resident())

    thread = threading.Thread(target=watch)
    thread.start()

    def stop() -> None:
        ended.set()
        thread.join()

    return stop


if __name__ == "__main__":
    main()
