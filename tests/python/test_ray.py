"""A job on a cluster of Ray, of two nodes on this machine: the quickstart's, of the folder that it is run in."""

import glob
import os
import pathlib
import shutil
import signal
import tempfile
import threading
import time
import unittest
from collections.abc import Callable

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import kgbuild
import kgbuild.ray
import ray
import ray.cluster_utils
import ray.data
from test_rows import lines

BATCH = 8


def actors() -> list[int]:
    """The processes of Ray's actors that have a model."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            words = pathlib.Path(path).read_bytes()
        except OSError:
            continue
        if words.startswith(b"ray::") and b"Worker" in words and b"Map" in words:
            found.append(int(path.split("/")[2]))
    return found


class Noted(kgbuild.ray.Worker):
    """Notes the subjects that it is asked about."""

    def __init__(self, pipeline: str, plan: str, notes: str) -> None:
        super().__init__(pipeline, plan, 1)
        self.notes = notes

    def __call__(self, batch):  # type: ignore[no-untyped-def]
        with open(self.notes, "a") as notes:
            notes.writelines(f"{iri}\n" for iri in batch["iri"].to_pylist())
        return super().__call__(batch)


class OnRay(unittest.TestCase):
    cluster: ray.cluster_utils.Cluster
    alone: tempfile.TemporaryDirectory[str]
    expected: list[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.cluster = ray.cluster_utils.Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
        )
        ray.init(address=cls.cluster.address, log_to_driver=False)
        ray.data.DataContext.get_current().enable_progress_bars = False
        cls.alone = tempfile.TemporaryDirectory()
        pipeline = cls.pipeline_in(pathlib.Path(cls.alone.name))
        pipeline.run()
        cls.expected = lines(pipeline, pathlib.Path(cls.alone.name))
        # Of what the graph keeps: nothing is asked for it again.
        pipeline.share_means()
        pipeline.file.unlink()

    @classmethod
    def tearDownClass(cls) -> None:
        ray.shutdown()
        cls.alone.cleanup()
        # A graceful end waits half a minute for work that there is none of.
        cls.cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)

    @staticmethod
    def pipeline_in(folder: pathlib.Path) -> kgbuild.Pipeline:
        """The quickstart's, with its output in a folder."""
        own = pathlib.Path("pipelines/quickstart.toml")
        text = own.read_text()
        assert '"../outputs/quickstart"' in text
        file = own.with_name(f"{folder.name}.toml")
        file.write_text(text.replace("../outputs/quickstart", str(folder / "output")))
        return kgbuild.Pipeline(file)

    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.pipeline = self.pipeline_in(self.folder)
        plan = pathlib.Path("output", "shards", "plan")
        shutil.copytree(pathlib.Path(self.alone.name, plan), self.folder / plan)
        self.second = self.cluster.add_node(num_cpus=1)
        self.cluster.wait_for_nodes()

    def tearDown(self) -> None:
        self.pipeline.file.unlink()
        if self.second in self.cluster.list_all_nodes():
            self.cluster.remove_node(self.second, allow_graceful=False)

    def test_two_workers_make_the_graph_of_one_run(self) -> None:
        start = time.monotonic()
        report = kgbuild.ray.run(self.pipeline.file, workers=2, batch_size=BATCH)
        print(f"two workers of Ray: {time.monotonic() - start:.1f} s", flush=True)
        self.assertTrue(report["complete"])
        self.assertEqual(lines(self.pipeline, self.folder), self.expected)
        # Some of it is lost, and some was half written by a worker that was killed.
        files = sorted((self.pipeline.output / "shards" / "rows").glob("*.parquet"))
        self.assertGreater(len(files), 2)
        files[0].unlink()
        half = files[1].with_name(f".{files[1].stem}-{'0' * 32}")
        half.write_bytes(files[1].read_bytes()[:-100])
        files[1].unlink()
        kgbuild.ray.run(self.pipeline.file, workers=2, batch_size=BATCH)
        self.assertEqual(lines(self.pipeline, self.folder), self.expected)
        self.assertFalse(half.exists())
        kgbuild.ray.run(self.pipeline.file, workers=2)
        self.assertEqual(self.pipeline.run()["prompts"], 0)

    def test_subjects_of_a_dataset_without_the_tables(self) -> None:
        subjects = ray.data.from_items(
            [{"iri": "http://www.wikidata.org/entity/Q142", "label": "France",
              "types": "http://www.wikidata.org/entity/Q6256"}]
        )
        report = kgbuild.ray.run(self.pipeline.file, workers=1, subjects=subjects)
        self.assertGreaterEqual(report["total"]["subjects"], 1)
        runs = kgbuild.Graph(self.pipeline.output).history()
        self.assertEqual(len(runs), 1)

    def harmed(self, harm: Callable[[], None]) -> None:
        """Two workers, of which one is lost after the first answers."""
        plan = os.path.abspath(self.pipeline.share_means())
        notes, rows = self.folder / "notes", self.pipeline.output / "shards" / "rows"
        file = os.path.abspath(self.pipeline.file)
        left = kgbuild.ray._left(file, rows, 2, BATCH)
        assert left is not None
        asked = left.map_batches(
            Noted,
            fn_constructor_args=(file, plan, str(notes)),
            batch_format="pyarrow",
            batch_size=BATCH,
            compute=ray.data.ActorPoolStrategy(size=2),
            num_cpus=1,
        )

        def wait_and_harm() -> None:
            while not list(rows.glob("*.parquet")):
                time.sleep(0.05)
            harm()

        harming = threading.Thread(target=wait_and_harm)
        harming.start()
        asked.write_parquet(str(rows), ray_remote_args={"num_cpus": 0})
        harming.join()
        kgbuild.merge(self.pipeline.output)
        self.assertEqual(lines(self.pipeline, self.folder), self.expected)
        subjects = notes.read_text().split()
        again = len(subjects) - len(set(subjects))
        print(f"{len(set(subjects))} subjects, {again} of them asked again", flush=True)
        # Each worker has a batch in work, and one that waits for it.
        self.assertLessEqual(again, 4 * BATCH)

    def test_an_actor_is_killed(self) -> None:
        def kill() -> None:
            found = actors()
            self.assertTrue(found, "no actor")
            os.kill(found[0], signal.SIGKILL)

        self.harmed(kill)

    def test_a_node_is_removed(self) -> None:
        self.harmed(lambda: self.cluster.remove_node(self.second, allow_graceful=False))


if __name__ == "__main__":
    unittest.main()
