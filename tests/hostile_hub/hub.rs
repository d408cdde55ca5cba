//! A hub on this machine that answers as a test wants it to: soundly, or not.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The commit at which the hub's main branch is.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Where the files of that commit are.
pub const FILES: &str = "/owner/name/resolve/0123456789abcdef0123456789abcdef01234567/";
/// Where what there is is listed.
pub const LISTING: &str = "/api/models/owner/name/revision/main?blobs=true";
/// The longest that a connection is served or held, and that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a client asked.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    head: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What it gets.
pub enum Reply {
    /// These bytes, and the connection ends.
    Bytes(Vec<u8>),
    /// These bytes, and then nothing for as long as the client waits.
    Stall(Vec<u8>),
    /// These bytes, and then more of the same for as long as the client takes them.
    Flood(Vec<u8>),
}

/// A reply with this status line, these headers and this body.
pub fn reply(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Content-Length") {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    Reply::Bytes([text.as_bytes(), b"\r\n", body].concat())
}

pub fn redirect(to: &str) -> Reply {
    reply("302 Found", &[("Location", to)], b"")
}

/// A server on a port of its own, which serves a connection after the other until it is dropped.
pub struct Hub {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    closing: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Hub {
    pub fn new(answer: impl Fn(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let closing = Arc::new(AtomicBool::new(false));
        let (seen, closed) = (Arc::clone(&requests), Arc::clone(&closing));
        let serving = thread::spawn(move || {
            for stream in listener.incoming() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                // A client that leaves in the middle is no failure of the server's.
                let _left = serve(&mut stream.unwrap(), &answer, &seen);
            }
        });
        Self { address, requests, closing, serving: Some(serving) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits for a request with this path.
    pub fn wait_for(&self, path: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.requests().iter().any(|request| request.path == path) {
            assert!(Instant::now() < deadline, "{path} was not asked for");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the server.
        drop(TcpStream::connect(self.address));
        let ended = self.serving.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_none_or(|ended| ended.is_ok()), "the hub failed");
    }
}

fn serve(
    stream: &mut TcpStream,
    answer: &impl Fn(&Request) -> Reply,
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let request = Request { method, path, head };
    seen.lock().unwrap().push(request.clone());
    match answer(&request) {
        Reply::Bytes(bytes) => stream.write_all(&bytes)?,
        Reply::Stall(bytes) => {
            stream.write_all(&bytes)?;
            let left = stream.read(&mut byte).map_err(|error| error.kind());
            assert_ne!(left, Err(ErrorKind::WouldBlock), "the client waits for ever");
        }
        Reply::Flood(bytes) => {
            stream.write_all(&bytes)?;
            let deadline = Instant::now() + PATIENCE;
            while stream.write_all(&b" ".repeat(1 << 16)).is_ok() {
                assert!(Instant::now() < deadline, "the client takes whatever comes");
            }
        }
    }
    Ok(())
}

/// A hub that has one model and does nothing wrong.
#[derive(Clone)]
pub struct Sound {
    pub files: Vec<(String, Vec<u8>)>,
    /// Whether the listing says the files' hashes and sizes.
    pub says_hashes: bool,
    /// The other host from which large files come, if they do.
    pub elsewhere: Option<String>,
}

impl Sound {
    /// A LoRA adapter: what a run needs of it is the least.
    pub fn adapter() -> Self {
        let config = br#"{"peft_type": "LORA", "r": 8, "lora_alpha": 16.0}"#.to_vec();
        let weights = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        let files = vec![
            ("README.md".to_owned(), b"not needed".to_vec()),
            ("adapter_config.json".to_owned(), config),
            ("adapter_model.safetensors".to_owned(), weights),
        ];
        Self { files, says_hashes: true, elsewhere: None }
    }

    pub fn content(&self, name: &str) -> &[u8] {
        &self.files.iter().find(|(file, _)| file == name).unwrap().1
    }

    pub fn listing(&self) -> serde_json::Value {
        let siblings = self.files.iter().map(|(name, content)| {
            if !self.says_hashes {
                return json!({ "rfilename": name });
            }
            let mut file =
                json!({ "rfilename": name, "size": content.len(), "blobId": git_hash(content) });
            if is_large(name) {
                file["lfs"] = json!({ "sha256": sha256(content), "size": content.len() });
            }
            file
        });
        json!({ "sha": COMMIT, "siblings": siblings.collect::<Vec<_>>() })
    }

    pub fn answer(&self, request: &Request) -> Reply {
        if request.path == LISTING {
            return reply("200 OK", &[], self.listing().to_string().as_bytes());
        }
        let name = request.path.strip_prefix(FILES).unwrap_or_default();
        let Some((_, content)) = self.files.iter().find(|(file, _)| file == name) else {
            return reply("404 Not Found", &[], b"");
        };
        let (hash, size) = match is_large(name) {
            true => (sha256(content), content.len().to_string()),
            false => (git_hash(content), content.len().to_string()),
        };
        if let Some(elsewhere) = self.elsewhere.as_ref().filter(|_| is_large(name)) {
            let location = format!("{elsewhere}/{name}?signature=secret");
            let hash = format!("\"{hash}\"");
            let headers =
                [("Location", &*location), ("X-Linked-Etag", &*hash), ("X-Linked-Size", &*size)];
            return reply("302 Found", &headers, b"");
        }
        with_range(request, content, &format!("\"{hash}\""))
    }

    /// What the other host answers.
    pub fn answer_elsewhere(&self, request: &Request) -> Reply {
        let name = request.path.trim_start_matches('/').split('?').next().unwrap_or_default();
        with_range(request, self.content(name), "\"an-etag-of-another-kind\"")
    }
}

fn with_range(request: &Request, content: &[u8], etag: &str) -> Reply {
    if request.method == "HEAD" {
        let size = content.len().to_string();
        return reply("200 OK", &[("ETag", etag), ("Content-Length", &*size)], b"");
    }
    let from = request
        .header("Range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from {
        None => reply("200 OK", &[("ETag", etag)], content),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
            let headers = [("ETag", etag), ("Content-Range", &*range)];
            reply("206 Partial Content", &headers, &content[from..])
        }
    }
}

fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors") || name.contains(".onnx")
}

pub fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// The hash by which git names a file's content.
pub fn git_hash(content: &[u8]) -> String {
    let header = format!("blob {}\0", content.len());
    hex::encode(Sha1::new_with_prefix(header).chain_update(content).finalize())
}
