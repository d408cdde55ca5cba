//! What an earlier run left in the cache: used where it is whole, made again where it is not.

use super::*;

/// What is said while a graph is prepared in this cache.
fn said(graph: &Path, cache: &Path) -> (Prepared, Vec<String>) {
    let mut lines = Vec::new();
    let found = prepare(graph, "sha", &Cache::at(cache), &mut |line| lines.push(line.to_owned()));
    (found.unwrap(), lines)
}

#[test]
fn a_graph_is_prepared_once_and_again_where_it_is_damaged() {
    let graph = model("llama/optimum/model.onnx");
    let cache = tempfile::tempdir().unwrap();
    let (first, lines) = said(&graph, cache.path());
    assert!(lines.is_empty(), "{lines:?}");
    let file = cache.path().join("models/sha-prepared-1/model/model.onnx");
    assert_eq!(first, Prepared { graph: file.clone(), cut: true });
    assert_eq!(said(&graph, cache.path()), (first.clone(), Vec::new()));
    let weights = file.with_file_name("model.onnx.weights");
    let bytes = (fs::read(&file).unwrap(), fs::read(&weights).unwrap());
    for damage in [
        &(|| fs::write(&file, &bytes.0[..500]).unwrap()) as &dyn Fn(),
        &|| fs::write(&weights, &bytes.1[..5000]).unwrap(),
        &|| fs::remove_file(&weights).unwrap(),
        &|| fs::remove_file(&file).unwrap(),
        // Not what was made: the graph it was made from.
        &|| fs::write(&file, fs::read(&graph).unwrap()).unwrap(),
    ] {
        damage();
        let (again, lines) = said(&graph, cache.path());
        assert_eq!(again, first);
        assert!(lines[0].contains("is damaged and is made again"), "{lines:?}");
        assert_eq!((fs::read(&file).unwrap(), fs::read(&weights).unwrap()), bytes);
    }
    let left = fs::read_dir(cache.path()).unwrap().count();
    assert_eq!(left, 1, "something is left of the work");
}

#[test]
fn graphs_of_one_folder_do_not_meet() {
    let cache = tempfile::tempdir().unwrap();
    let of = |name: &str| model("gpt2/legacy-decoder_model").join(name);
    let (first, second) = (of("decoder_model.onnx"), of("decoder_with_past_model.onnx"));
    let made = [&first, &second].map(|graph| said(graph, cache.path()).0);
    assert_eq!([&first, &second].map(|graph| said(graph, cache.path()).1.len()), [0, 0]);
    check(&first, &made[0], &[], F32);
    assert_ne!(made[0].graph.parent(), made[1].graph.parent());
}

#[test]
fn weights_beside_a_graph_are_linked_and_never_written() {
    let from = model("llama-tied/hub/onnx");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // As hubs keep them: symbolic links, relative to where they are.
    fs::create_dir(at("blobs")).unwrap();
    fs::create_dir(at("model")).unwrap();
    fs::copy(from.join("model.onnx"), at("model/model.onnx")).unwrap();
    fs::copy(from.join("model.onnx_data"), at("blobs/weights")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("../blobs/weights", at("model/model.onnx_data")).unwrap();
    #[cfg(not(unix))]
    fs::copy(at("blobs/weights"), at("model/model.onnx_data")).unwrap();
    let (made, _) = said(&at("model/model.onnx"), &at("cache"));
    let linked = made.graph.with_file_name("model.onnx_data");
    let is_file = fs::symlink_metadata(&linked).unwrap().is_file();
    assert!(is_file, "a link that leads nowhere from here");
    assert_eq!(fs::read(linked).unwrap(), fs::read(from.join("model.onnx_data")).unwrap());
    // ONNX Runtime refuses the links themselves.
    check(&from.join("model.onnx"), &made, &[1], F32);
}

#[test]
fn many_at_once_all_get_a_whole_graph() {
    let graph = model("qwen2/optimum/model.onnx");
    let cache = tempfile::tempdir().unwrap();
    let made: Vec<Prepared> = std::thread::scope(|scope| {
        let start = || scope.spawn(|| said(&graph, cache.path()).0);
        let threads: Vec<_> = (0..4).map(|_| start()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(made.iter().all(|one| *one == made[0]));
    check(&graph, &made[0], &[], F32);
}
