"""Answers in rows, as workers of Ray and Spark make them: against a run of the same starter."""

import copy
import pathlib
import pickle
import tempfile
import unittest

import kgbuild
import kgbuild.spark
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from kgbuild import _kgbuild
from kgbuild._rows import SCHEMA, Worker


def lines(pipeline: kgbuild.Pipeline, folder: pathlib.Path) -> list[str]:
    """The graph, but for the times of its run."""
    file = kgbuild.Graph(pipeline.output).export(
        folder / "graph.nq", format="n-quads", include=["schema", "labels", "aliases", "provenance"]
    )
    return sorted(line for line in file.read_text().splitlines() if "AtTime>" not in line)


class Rows(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.pipeline = kgbuild.init(self.folder)
        self.plan = self.pipeline.share_means()
        self.rows = self.pipeline.output / "shards" / "rows"
        self.rows.mkdir(parents=True)

    def left(self) -> _kgbuild.LeftSubjects:
        return _kgbuild.LeftSubjects(str(self.pipeline.file), str(self.rows))

    def subjects(self) -> pa.Table:
        left = self.left()
        return pa.table(left.rows(0, len(left)))

    def worker(self) -> Worker:
        return Worker(self.pipeline.file, self.plan, 1)

    def test_rows_make_the_graph_of_a_run(self) -> None:
        subjects, worker = self.subjects(), self.worker()
        self.assertEqual(subjects.num_rows, 6)
        first = worker(subjects.slice(0, 4))
        self.assertEqual(first.schema, SCHEMA)
        pq.write_table(first, self.rows / "0.parquet")
        with self.assertRaisesRegex(kgbuild.InputError, "4 of the 6 of .*P36"):
            kgbuild.merge(self.pipeline.output)
        self.assertEqual(len(self.left()), 2)
        # Some are answered twice, where a worker was killed.
        pq.write_table(worker(subjects.slice(3, 3)), self.rows / "1.parquet")
        self.assertEqual(len(self.left()), 0)
        report = kgbuild.merge(self.pipeline.output)
        self.assertEqual(report["shards"], "6 answered questions")
        merged = lines(self.pipeline, self.folder)
        alone = self.pipeline.run(fresh=True)
        self.assertEqual(merged, lines(self.pipeline, self.folder))
        for number in ("subjects", "triples", "mean_confidence"):
            self.assertEqual(report["total"][number], alone["total"][number])
        # What was answered is gone on from.
        self.assertEqual(kgbuild.merge(self.pipeline.output, fresh=True)["prompts"], 0)
        self.assertEqual(self.pipeline.run()["prompts"], 0)
        self.assertEqual(self.pipeline.plan()["share_to_ask"], 0.0)

    def test_a_row_has_its_candidates(self) -> None:
        rows = self.worker()(self.subjects()).to_pylist()
        asked = self.pipeline.ask([row["subject"] for row in rows], as_="dicts")
        for row, best in zip(rows, asked):
            (subject, first) = row["subject"], row["answers"][0]
            self.assertEqual((subject, first["object"]), (best["subject"], best["object"]))
            self.assertEqual(first["confidence"], best["confidence"])
            self.assertEqual(first["written"], "> <" + row["relation"] in row["quads"])
            confidences = [answer["confidence"] for answer in row["answers"]]
            self.assertEqual(confidences, sorted(confidences, reverse=True))

    def test_subjects_are_named_in_several_ways(self) -> None:
        worker = self.worker()
        columns = self.subjects().to_pydict()
        expected = worker(pa.table(columns)).drop_columns("made_by")
        columns["types"] = ["|".join(own) for own in columns["types"]]
        columns["aliases"] = ["|".join(own) for own in columns["aliases"]]
        columns["relation"] = [expected["relation"][0].as_py()] * 6
        self.assertEqual(worker(pa.table(columns)).drop_columns("made_by"), expected)
        none = worker(pa.table({**columns, "types": [""] * 6}))
        self.assertEqual((none.num_rows, none.schema), (0, SCHEMA))

    def test_what_is_no_batch_of_subjects_is_told(self) -> None:
        worker = self.worker()
        with self.assertRaisesRegex(TypeError, "pyarrow.Table"):
            worker([1, 2])  # type: ignore[arg-type]
        for columns, told in (
            ({"label": ["France"]}, "iri and label.*this one has label"),
            ({"iri": [None], "label": ["France"]}, "row 0 has no text in the column iri"),
            ({"iri": ["urn:f"], "label": ["F"], "types": [[1]]}, "column types has lists of texts"),
        ):
            with self.assertRaisesRegex(ValueError, told):
                worker(pa.table(columns))
        for columns, told in (
            ({"iri": ["Q142"], "label": ["France"]}, "no absolute IRI"),
            ({"iri": ["urn:f"], "label": [""]}, "no label"),
            ({"iri": ["urn:f", "urn:f"], "label": ["F", "G"]}, "under other names"),
            ({"iri": ["urn:f"], "label": ["F"], "relation": ["urn:r"]}, "does not ask by"),
        ):
            with self.assertRaisesRegex(kgbuild.InputError, told):
                worker(pa.table(columns))

    def test_a_worker_of_another_job_is_refused(self) -> None:
        file = self.pipeline.file
        text = file.read_text()
        self.assertIn("threshold = 0.5\n", text)
        file.write_text(text.replace("threshold = 0.5\n", "threshold = 0.25\n", 1))
        with self.assertRaisesRegex(kgbuild.InputError, "it differs in relation"):
            self.worker()
        with self.assertRaisesRegex(kgbuild.InputError, "kgbuild plan"):
            Worker(file, self.folder / "none.json")

    def test_an_error_goes_from_process_to_process(self) -> None:
        with self.assertRaises(kgbuild.InputError) as raised:
            Worker(self.pipeline.file, self.folder / "none.json")
        for error in (pickle.loads(pickle.dumps(raised.exception)), copy.copy(raised.exception)):
            self.assertIsInstance(error, kgbuild.InputError)
            self.assertEqual((str(error), error.code), (str(raised.exception), 2))

    def test_frames_of_spark(self) -> None:
        answer = kgbuild.spark.answer(self.pipeline.file, self.plan, threads=1)
        frame = self.subjects().to_pandas()
        frames = list(answer(iter([frame.iloc[:5], frame.iloc[5:]])))
        self.assertEqual([len(own) for own in frames], [5, 1])
        names = [name for name in SCHEMA.names]
        self.assertEqual([part.split()[0] for part in top_level(kgbuild.spark.SCHEMA)], names)
        for number, own in enumerate(frames):
            self.assertEqual(list(own.columns), names)
            own.to_parquet(self.rows / f"part-{number}.snappy.parquet")
        kgbuild.merge(self.pipeline.output)
        merged = lines(self.pipeline, self.folder)
        self.pipeline.run(fresh=True)
        self.assertEqual(merged, lines(self.pipeline, self.folder))
        self.assertIsInstance(frame, pd.DataFrame)


def top_level(schema: str) -> list[str]:
    """The parts of a schema of Spark."""
    parts, depth = [""], 0
    for letter in schema:
        depth += (letter == "<") - (letter == ">")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


if __name__ == "__main__":
    unittest.main()
