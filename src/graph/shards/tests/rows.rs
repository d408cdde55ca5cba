//! Rows in the place of shards: in any order, some of them twice, of a part, and those that are refused.

use super::*;

/// A job that was answered in rows: the folder of what these go by is there.
fn plan_of_rows(job: Job) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    job.run(&place(folder.path(), 0), Some(0), folder.path());
    folder
}

/// The columns of answered questions, a row a question; some together keep their answers in the first one's.
fn rows_of(job: Job, batches: &[Vec<u64>]) -> Vec<[String; 6]> {
    let described = job.describe(None, Path::new(""));
    let writer = RowWriter::new(BASE, &described.signature).unwrap();
    let origin = RowOrigin {
        signature: signature(BASE, &described.signature),
        asked_on: "CPU".to_owned(),
        means_sha256: Some("00ff".to_owned()),
    };
    let mut rows = Vec::new();
    for batch in batches {
        let iris: Vec<String> = batch.iter().map(|s| format!("http://example.org/s{s}")).collect();
        for (at, (iri, &subject)) in iris.iter().zip(batch).enumerate() {
            let own = record(std::slice::from_ref(iri), 0, &[subject], 1);
            let mut quads = writer.facts(&own).unwrap();
            if at == 0 {
                let all = iris.iter().zip(batch).map(|(iri, &subject)| {
                    (iri.as_str(), record(std::slice::from_ref(iri), 0, &[subject], 1))
                });
                quads += &writer.kept(all).unwrap();
            }
            let made_by = if at == 0 { json!(origin).to_string() } else { String::new() };
            let run = writer.run().to_owned();
            rows.push([iri.clone(), RELATION.to_owned(), run, quads, "1".to_owned(), made_by]);
        }
    }
    rows
}

const COLUMNS: [&str; 6] = ["subject", "relation", "run", "quads", "statistics", "made_by"];

fn write_parquet(path: &Path, columns: [&str; 6], rows: &[[String; 6]]) {
    use parquet::basic::Compression;
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // In another order than they are read in, and beside another one.
    let order = [3, 0, 5, 1, 2, 4];
    let fields = order.map(|at| format!("optional binary {} (string);", columns[at]));
    let schema = format!("message rows {{ {} optional int32 other; }}", fields.join(" "));
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let snappy = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let file = fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(snappy)).unwrap();
    for rows in rows.chunks(3) {
        let mut group = writer.next_row_group().unwrap();
        for at in order {
            let values: Vec<ByteArray> = rows.iter().map(|row| row[at].as_str().into()).collect();
            let mut column = group.next_column().unwrap().unwrap();
            let levels = vec![1; values.len()];
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
            column.close().unwrap();
        }
        let mut column = group.next_column().unwrap().unwrap();
        let levels = vec![0; rows.len()];
        column
            .typed::<parquet::data_type::Int32Type>()
            .write_batch(&[], Some(&levels), None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// Merges what is in the folder of a job.
fn merged_rows(out: &Path, partial: bool) -> Result<(Merged, Shards), Error> {
    let mut shards = Shards::in_folder(out)?;
    let rows = shards.read_rows(&add, &mut |_| true)?;
    let how = Merge { fresh: false, partial, finish: true, add: &add };
    let merged = merge(out, (&shards, rows), &how, &mut |_| true)?;
    Ok((merged, shards))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn rows_in_any_order_and_twice_make_the_graph_of_one_run(
        order in Just((0..JOB.subjects).collect::<Vec<u64>>()).prop_shuffle(),
        batch in 1_usize..5,
        twice in 0_usize..4,
        files in 1_usize..4,
    ) {
        let shared = plan_of_rows(JOB);
        let mut batches: Vec<Vec<u64>> = order.chunks(batch).map(<[u64]>::to_vec).collect();
        batches.extend(order.chunks(3).take(twice).map(<[u64]>::to_vec));
        let rows = rows_of(JOB, &batches);
        for (at, part) in rows.chunks(rows.len().div_ceil(files)).enumerate() {
            write_parquet(&shared.path().join(format!("shards/rows/{at}.parquet")), COLUMNS, part);
        }
        let (merged, shards) = merged_rows(shared.path(), false).unwrap();
        prop_assert_eq!(merged, Merged::Now);
        prop_assert_eq!(quads(shared.path()), quads(JOB.alone().path()));
        prop_assert_eq!(shards.statistics(RELATION).collect::<Vec<_>>(), [json!(JOB.subjects)]);
        prop_assert_eq!(shards.count(), format!("{} answered questions", JOB.subjects));
        let writer = JOB.open(shared.path(), None, shared.path());
        prop_assert!(writer.is_complete());
        prop_assert_eq!(writer.done().len(), 5);
        prop_assert_eq!(writer.done().statistics(RELATION), Some(&json!(JOB.subjects)));
        drop(writer);
        // It goes on growing: another run takes the answers.
        let other = Job { threshold: "0.6", ..JOB };
        let writer = other.open(shared.path(), None, shared.path());
        for subject in 0..JOB.subjects {
            let kept = writer.state().kept.get(subject).unwrap();
            prop_assert_eq!(kept.prompts, [(subject, vec![subject as u8; 300])]);
        }
    }
}

#[test]
fn rows_of_a_part_are_merged_where_that_is_said() {
    let shared = plan_of_rows(JOB);
    let file = shared.path().join("shards/rows/0.parquet");
    write_parquet(&file, COLUMNS, &rows_of(JOB, &[vec![1, 2], vec![7]]));
    let said = refused(merged_rows(shared.path(), false));
    assert!(said.contains(&format!("3 of the 10 of <{RELATION}>")), "{said}");
    assert!(!shared.path().join("store").exists());
    merged_rows(shared.path(), true).unwrap();
    let found = quads(shared.path());
    assert!([1, 2, 7].iter().all(|subject| found.contains(&format!("/s{subject}> <{RELATION}>"))));
    assert!(!found.contains(&format!("/s3> <{RELATION}>")));
    assert!(!JOB.open(shared.path(), None, shared.path()).is_complete(), "not the whole graph");
    // As many questions, of which one is another.
    let others: Vec<u64> = (1..=JOB.subjects).collect();
    write_parquet(&file, COLUMNS, &rows_of(JOB, &[others]));
    let said = refused(merged_rows(shared.path(), false));
    assert!(said.contains("others than the 10 of"), "{said}");
}

#[test]
fn rows_that_are_none_of_the_job_s_are_refused() {
    let shared = plan_of_rows(JOB);
    let file = shared.path().join("shards/rows/0.parquet");
    let all = vec![(0..JOB.subjects).collect::<Vec<u64>>()];
    let refusal = || {
        let said = refused(merged_rows(shared.path(), false));
        assert!(!shared.path().join("store").exists(), "{said}");
        said
    };
    let own = rows_of(JOB, &all);
    write_parquet(&file, COLUMNS.map(|name| if name == "quads" { "quad" } else { name }), &own);
    let said = refusal();
    assert!(said.contains("quads of text is missing; it has quad, subject, made_by"), "{said}");
    write_parquet(&file, COLUMNS, &rows_of(Job { threshold: "0.6", ..JOB }, &all));
    assert!(refusal().contains("threshold (`0.5` and `0.6`)"));
    let changed = |what: &str, by: &str| {
        let mut rows = own.clone();
        rows.iter_mut().for_each(|row| row[5] = row[5].replace(what, by));
        write_parquet(&file, COLUMNS, &rows);
    };
    changed("00ff", "00fe");
    assert!(refusal().contains("mean predictions (`00ff` and `00fe`)"));
    changed("signature", "signatures");
    assert!(refusal().contains("column made_by"));
    let mut rows = own.clone();
    rows.push(own[4].clone());
    rows[10][3] = own[4][3].replace("\"0.54\"", "\"0.53\"");
    assert_ne!(rows[10], own[4]);
    write_parquet(&file, COLUMNS, &rows);
    assert!(refusal().contains("answer <http://example.org/s4> by"));
    let mut rows = own.clone();
    rows[3][2] = "urn:kgbuild:run:0123".to_owned();
    write_parquet(&file, COLUMNS, &rows);
    assert!(refusal().contains("they differ in run"));
    fs::write(&file, b"PAR1, and then the writer was killed").unwrap();
    assert!(refusal().contains("cannot be read"));
    assert!(answered_rows(file.parent().unwrap(), &own[0][2]).is_err());
    write_parquet(&file, COLUMNS, &own);
    assert_eq!(answered_rows(file.parent().unwrap(), &own[0][2]).unwrap().len(), 10);
    assert!(answered_rows(file.parent().unwrap(), "urn:other").is_err());
    // Shards that have numbers are another way to do the same.
    JOB.run(&place(shared.path(), 2), Some(2), shared.path());
    assert!(refusal().contains("two ways to do one job"));
    let named = |own: &[&str]| {
        let folders: Vec<PathBuf> = own.iter().map(|name| shared.path().join(name)).collect();
        Shards::find(&folders)
    };
    assert!(refused(named(&["shards/rows"])).contains("without what `kgbuild plan` took"));
    assert_eq!(named(&["shards/rows", "shards/0"]).unwrap().found().len(), 1);
}
