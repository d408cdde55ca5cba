//! What an earlier run left in the cache: used where it is whole, made again where it is not.

use std::sync::Mutex;

use super::*;

/// What is said while a graph is prepared in this cache.
fn said(graph: &Path, cache: &Path) -> (Prepared, Vec<String>) {
    let lines = Mutex::new(Vec::new());
    let push = Told(|line: &str| {
        // Others may have to wait for the one that makes it.
        if !line.starts_with("waiting") {
            lines.lock().unwrap().push(line.to_owned());
        }
    });
    let found = prepare_alone(graph, &Cache::at(cache), &push);
    (found.unwrap(), lines.into_inner().unwrap())
}

/// Hands on what is said.
struct Told<F: Fn(&str) + Send + Sync>(F);

impl<F: Fn(&str) + Send + Sync> Events for Told<F> {
    fn note(&self, text: &str) {
        (self.0)(text);
    }
}

#[test]
fn a_graph_is_prepared_once_and_again_where_it_is_damaged() {
    let graph = model("llama/optimum/model.onnx");
    let cache = tempfile::tempdir().unwrap();
    let (first, lines) = said(&graph, cache.path());
    assert!(lines.is_empty(), "{lines:?}");
    let sha256 = sha256_of(graph.parent().unwrap()).unwrap();
    let file = cache.path().join(format!("models/{sha256}-prepared-1/model/model.onnx"));
    assert_eq!(first, Prepared { graph: file.clone(), cut: true });
    assert_eq!(said(&graph, cache.path()), (first.clone(), Vec::new()));
    let weights = file.with_file_name("model.onnx.weights");
    let bytes = (fs::read(&file).unwrap(), fs::read(&weights).unwrap());
    for damage in [
        &(|| fs::write(&file, &bytes.0[..500]).unwrap()) as &dyn Fn(),
        &|| fs::write(&weights, &bytes.1[..5000]).unwrap(),
        &|| fs::write(&weights, "").unwrap(),
        // As long as what was written, and not the same.
        &|| fs::write(&weights, vec![0; bytes.1.len()]).unwrap(),
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

/// A folder with a graph whose weights are a symbolic link, relative to where it is, as hubs keep
/// them.
fn as_hubs_keep_it() -> tempfile::TempDir {
    let from = model("llama-tied/hub/onnx");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("blobs")).unwrap();
    fs::create_dir(at("model")).unwrap();
    fs::copy(from.join("model.onnx"), at("model/model.onnx")).unwrap();
    fs::copy(from.join("model.onnx_data"), at("blobs/weights")).unwrap();
    std::os::unix::fs::symlink("../blobs/weights", at("model/model.onnx_data")).unwrap();
    folder
}

#[test]
fn weights_beside_a_graph_are_copied_so_that_their_owner_may_change_them() {
    use std::os::unix::fs::MetadataExt;

    let from = model("llama-tied/hub/onnx");
    let folder = as_hubs_keep_it();
    let at = |name: &str| folder.path().join(name);
    let (made, _) = said(&at("model/model.onnx"), &at("cache"));
    let copy = made.graph.with_file_name("model.onnx_data");
    let file = fs::symlink_metadata(&copy).unwrap();
    assert!(file.is_file(), "a link that leads nowhere from here");
    assert_eq!(file.nlink(), 1, "a name of its owner's file");
    let weights = fs::read(from.join("model.onnx_data")).unwrap();
    assert_eq!(fs::read(&copy).unwrap(), weights);
    fs::write(at("blobs/weights"), vec![0; weights.len()]).unwrap();
    assert_eq!(fs::read(copy).unwrap(), weights);
    // ONNX Runtime refuses the links themselves.
    check(&from.join("model.onnx"), &made, &[1], F32);
}

#[test]
fn a_folder_that_changes_between_hashing_and_preparing_is_not_kept() {
    for file in ["model.onnx", "model.onnx_data"] {
        let folder = as_hubs_keep_it();
        let (graph, cache) = (folder.path().join("model/model.onnx"), folder.path().join("cache"));
        let (made, _) = said(&graph, &cache);
        // What is said of a damaged one comes after the folder was hashed.
        fs::write(&made.graph, "").unwrap();
        let changing = Told(|line: &str| {
            assert!(line.contains("is damaged"), "{line}");
            let path = graph.with_file_name(file);
            let mut bytes = fs::read(&path).unwrap();
            // Of the graph the name of its exporter, which nothing depends on.
            let name = bytes.windows(7).position(|bytes| bytes == b"pytorch");
            let at = name.unwrap_or(bytes.len() - 1);
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
        });
        let refused = prepare_alone(&graph, &Cache::at(&cache), &changing);
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("model changed while it was read"), "{message}");
        assert!(!made.graph.exists(), "{file} is kept");
    }
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
