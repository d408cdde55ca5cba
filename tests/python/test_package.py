"""The Python package, as it is installed: against the real models of the quickstart's starter."""

import contextlib
import io
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings

import kgbuild
import pyarrow as pa

COUNTRY = "http://www.wikidata.org/entity/Q142"
CAPITAL = "http://www.wikidata.org/prop/direct/P36"


class Package(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.pipeline = kgbuild.init(self.folder)
        self.addCleanup(self.pipeline.close)

    def test_a_pipeline_is_checked_planned_and_run(self) -> None:
        self.pipeline.check()
        plan = self.pipeline.plan()
        self.assertEqual(plan["total"]["subjects"], 6)
        self.assertEqual(plan["share_to_ask"], 1.0)
        events = []
        report = self.pipeline.run(progress=events.append)
        self.assertTrue(report["complete"])
        self.assertEqual(report["total"]["subjects"], 6)
        # The means were taken before.
        begun = max(at for at, e in enumerate(events) if e["event"] == "begin")
        told = [e for e in events[begun:] if e["event"] == "advance" and e["stage"] == "write"]
        done = sum(e["by"] for e in told)
        self.assertEqual(done, report["prompts"])
        self.assertEqual(self.pipeline.plan()["share_to_ask"], 0.0)
        self.assertEqual(self.pipeline.run()["prompts"], 0)

        graph = kgbuild.Graph(self.pipeline.output)
        table = graph.query(
            "SELECT ?s ?o ?c { ?s wdt:P36 ?o {| kgb:confidence ?c |} } ORDER BY DESC(?c)"
        )
        self.assertIsInstance(table, pa.Table)
        self.assertEqual(table.schema.field("c").type, pa.float64())
        self.assertEqual(table.num_rows, report["total"]["triples"])
        count = graph.query("SELECT (COUNT(*) AS ?n) { ?s wdt:P36 ?o }")
        self.assertEqual(count.to_pylist(), [{"n": table.num_rows}])
        self.assertIs(graph.query("ASK { ?s wdt:P36 ?o }"), True)
        self.assertIn("wdt:P36", graph.query("CONSTRUCT WHERE { ?s wdt:P36 ?o }"))
        self.assertEqual(graph.query("SELECT ?x { ?x a wd:Q0 }").num_rows, 0)
        turtle = graph.export(self.folder / "graph.ttl")
        self.assertIn("wdt:P36", turtle.read_text())
        tables = graph.export(self.folder / "tables", format="csv")
        self.assertTrue((tables / "edges.csv").is_file())
        self.assertEqual([run["facts"] for run in graph.history()], [table.num_rows])

    def test_questions_are_asked_as_a_run_asks_them(self) -> None:
        asked = self.pipeline.ask(COUNTRY, CAPITAL, most=3)
        self.assertEqual(asked.num_rows, 3)
        self.assertEqual(asked.schema.field("finetuned").type, pa.float64())
        self.assertFalse(self.pipeline.output.exists(), "no graph is written")
        self.pipeline.run()
        graph = kgbuild.Graph(self.pipeline.output)
        rows = graph.query(
            "SELECT ?subject ?object ?c { ?subject wdt:P36 ?object {| kgb:confidence ?c |} }"
        ).to_pylist()
        best = self.pipeline.ask([row["subject"] for row in rows], as_="dicts")
        found = {(row["subject"], row["object"]): round(row["confidence"], 6) for row in best}
        for row in rows:
            self.assertEqual(found[row["subject"], row["object"]], row["c"])

    def test_shards_are_merged(self) -> None:
        self.pipeline.share_means()
        for number in (1, 2):
            self.pipeline.run(shard=f"{number}/2")
        with self.assertRaisesRegex(kgbuild.InputError, "shards/1-of-2 is not the output|no shard"):
            kgbuild.merge(self.folder / "nothing")
        report = kgbuild.merge(self.pipeline.output)
        self.assertEqual((report["shards"], report["total"]["subjects"]), ("2 shards", 6))

    def test_sections_are_given_as_words(self) -> None:
        os.chdir(self.folder)
        pipeline = kgbuild.Pipeline(
            models={"base": self.pipeline_model()},
            inputs={
                "ontology": "ontology.ttl",
                "subjects": self.folder / "subjects.csv",
                "candidates": ["candidates.csv"],
                "gold": None,
            },
            correction={"method": "none"},
            output={"folder": "elsewhere"},
        )
        pipeline.check()
        self.assertEqual(pipeline.output, self.folder.resolve() / "elsewhere")
        with self.assertRaises(TypeError):
            kgbuild.Pipeline()
        with self.assertRaisesRegex(kgbuild.InputError, "sujects"):
            kgbuild.Pipeline(inputs={"sujects": "a.csv"}).check()

    def pipeline_model(self) -> str:
        import tomllib

        text = (self.folder / "pipeline.toml").read_text()
        return tomllib.loads(text)["models"]["base"]

    def test_mistakes_are_raised_with_their_places(self) -> None:
        file = self.folder / "pipeline.toml"
        file.write_text(file.read_text() + "\n[prediktion]\n")
        with self.assertRaises(kgbuild.InputError) as raised:
            self.pipeline.check()
        error = raised.exception
        self.assertEqual(error.code, 2)
        (mistake,) = error.mistakes
        self.assertEqual(mistake["file"], str(file))
        self.assertEqual(mistake["line"], file.read_text().count("\n"))
        self.assertIn("prediction", mistake["help"] or mistake["message"])
        with self.assertRaisesRegex(kgbuild.InputError, "no store"):
            kgbuild.Graph(self.folder).query("ASK {}")
        for wrong in (lambda: kgbuild.Pipeline("missing.toml").check(),
                      lambda: self.pipeline.run(shard="3/2")):
            with self.assertRaises(kgbuild.InputError):
                wrong()
        with self.assertRaises(TypeError):
            self.pipeline.ask([1, 2])

    def test_unknown_questions_are_told(self) -> None:
        with self.assertRaisesRegex(kgbuild.InputError, "did you mean"):
            self.pipeline.ask(COUNTRY, CAPITAL + "x")
        with self.assertRaisesRegex(kgbuild.InputError, "Q142"):
            self.pipeline.ask(COUNTRY + "x", CAPITAL)
        graph = self.pipeline.run() and kgbuild.Graph(self.pipeline.output)
        with self.assertRaisesRegex(kgbuild.InputError, "SELECT"):
            graph.query("SELECT ?x { ?x")
        with self.assertRaisesRegex(ValueError, "turtle"):
            graph.export(self.folder / "x", format="tortoise")

    def test_the_interpreter_goes_on_meanwhile(self) -> None:
        ticks, ended = [], threading.Event()

        def tick() -> None:
            while not ended.is_set():
                ticks.append(time.monotonic())
                time.sleep(0.01)

        thread = threading.Thread(target=tick)
        thread.start()
        start = time.monotonic()
        self.pipeline.run()
        seconds = time.monotonic() - start
        ended.set()
        thread.join()
        self.assertGreater(len(ticks), 20 * seconds)

    def test_an_exception_of_the_callback_stops_and_is_raised(self) -> None:
        def refuse(event: object) -> None:
            raise ZeroDivisionError("enough")

        with self.assertRaisesRegex(ZeroDivisionError, "enough"):
            self.pipeline.run(progress=refuse)
        self.assertTrue(self.pipeline.run()["complete"])

    def test_ctrl_c_stops_and_the_next_run_goes_on(self) -> None:
        script = (
            "import kgbuild, sys\n"
            "try:\n"
            "    kgbuild.Pipeline(sys.argv[1]).run(progress=lambda e: print(e['event'], flush=True))\n"
            "except KeyboardInterrupt:\n"
            "    sys.exit(42)\n"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(self.folder)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() == "begin":
                child.send_signal(signal.SIGINT)
                break
        child.stdout.read()
        child.stdout.close()
        self.assertIn(child.wait(), (42, 0))
        self.assertTrue(self.pipeline.run()["complete"])

    def test_warnings_are_warnings(self) -> None:
        file = self.folder / "pipeline.toml"
        file.write_text(file.read_text().replace("[inputs]", '[inputs]\ngold = "gold.csv"', 1))
        fact = f"http://example.org/nobody,{CAPITAL},http://www.wikidata.org/entity/Q90"
        (self.folder / "gold.csv").write_text(f"subject,relation,object\n{fact}\n")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.pipeline.check()
        self.assertIn("not asked about", str(caught[0].message))

    def test_bars_go_to_standard_error(self) -> None:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.pipeline.run(progress=True)
        self.assertIn("mean predictions", said.getvalue())


class Command(unittest.TestCase):
    def test_the_command_is_installed(self) -> None:
        command = pathlib.Path(sys.executable).parent / "kgbuild"
        said = subprocess.run([command, "--version"], capture_output=True, text=True)
        self.assertEqual(said.stdout.strip(), f"kgbuild {kgbuild.__version__}")
        wrong = subprocess.run([command, "rnu"], capture_output=True, text=True)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("run", wrong.stderr)

    def test_it_is_imported_quickly(self) -> None:
        script = "import time; s = time.perf_counter(); import kgbuild; print(time.perf_counter() - s)"
        times = [
            float(subprocess.run([sys.executable, "-c", script], capture_output=True).stdout)
            for _ in range(5)
        ]
        print(f"import kgbuild: {min(times):.3f} s")
        self.assertNotIn("pyarrow", subprocess.run(
            [sys.executable, "-c", "import kgbuild, sys; print(*sys.modules)"],
            capture_output=True, text=True).stdout.split())


if __name__ == "__main__":
    unittest.main(verbosity=2)
