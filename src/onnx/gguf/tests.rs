//! A small GGUF file made here, and what becomes of it when bytes are lost or changed.

use proptest::prelude::*;

use super::cursor::AHEAD;
use super::*;
use crate::diagnostic::explained;

/// Appends a length and the bytes of a text.
fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A file with three metadata entries and two tensors: `a` F32 [2, 3], `b` Q8_0 [1, 32].
fn sample() -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(3u32.to_le_bytes());
    out.extend(2u64.to_le_bytes());
    out.extend(3u64.to_le_bytes());
    text(&mut out, "name");
    out.extend(8u32.to_le_bytes());
    text(&mut out, "tiny");
    text(&mut out, "count");
    out.extend(4u32.to_le_bytes());
    out.extend(7u32.to_le_bytes());
    text(&mut out, "tokens");
    out.extend(9u32.to_le_bytes());
    out.extend(8u32.to_le_bytes());
    out.extend(2u64.to_le_bytes());
    text(&mut out, "x");
    text(&mut out, "yz");
    for (name, dims, kind, offset) in [("a", [3u64, 2], 0u32, 0u64), ("b", [32, 1], 8, 32)] {
        text(&mut out, name);
        out.extend(2u32.to_le_bytes());
        out.extend(dims.iter().flat_map(|d| d.to_le_bytes()));
        out.extend(kind.to_le_bytes());
        out.extend(offset.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend((0..6u8).flat_map(|i| f32::from(i).to_le_bytes()));
    out.extend([0; 8]);
    out.extend([0x00, 0x38]);
    out.extend([2; 32]);
    out
}

fn open(bytes: &[u8]) -> Result<Gguf, Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Gguf::open(file.path())
}

/// Parses what stands in front of the tensors of these bytes.
fn parsed(bytes: &[u8]) -> Result<Header, ParseError> {
    let read = |range: Range<u64>| Ok(bytes[range.start as usize..range.end as usize].to_vec());
    parse(&read, bytes.len() as u64)
}

#[test]
fn metadata_and_tensors_are_read() {
    let gguf = open(&sample()).unwrap();
    assert_eq!(gguf.metadata("name"), Some(&Value::Text("tiny".into())));
    assert_eq!(gguf.metadata("count"), Some(&Value::Unsigned(7)));
    let tokens = vec![Value::Text("x".into()), Value::Text("yz".into())];
    assert_eq!(gguf.metadata("tokens"), Some(&Value::Array(tokens)));
    assert_eq!(gguf.shape("a"), Some(&[2, 3][..]));
    let tensor = |name| gguf.tensor(name).unwrap();
    assert_eq!(tensor("a").unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(tensor("b").unwrap(), [1.0; 32]);
    assert!(tensor("c").is_none());
}

#[test]
fn every_truncation_is_an_error_that_names_the_byte() {
    let whole = sample();
    for length in 0..whole.len() {
        let message = parsed(&whole[..length]).map(|_| ()).map_err(|e| e.in_file(Path::new("m")));
        let message = message.unwrap_err().to_string();
        assert!(message.contains("at byte"), "{length}: {message}");
    }
}

#[test]
fn another_format_and_an_unknown_type_are_named() {
    let message = open(b"PK\x03\x04 and so on").err().unwrap().to_string();
    assert!(message.contains("`GGUF`"), "{message}");
    let mut old = sample();
    old[4] = 1;
    let message = open(&old).err().unwrap().to_string();
    assert!(message.contains("version 1"), "{message}");
    let mut unknown = sample();
    let at = unknown.windows(9).position(|w| w == b"\x01\0\0\0\0\0\0\0b").unwrap();
    unknown[at + 9 + 4 + 16] = 16;
    let message = explained(&open(&unknown).err().unwrap());
    assert!(message.contains("`b`") && message.contains("type 16"), "{message}");
    assert!(message.contains("Q4_K"), "{message}");
}

#[test]
fn a_file_that_is_shortened_or_changed_after_it_was_opened_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let whole = sample();
    std::fs::write(file.path(), &whole).unwrap();
    let gguf = Gguf::open(file.path()).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for bytes in [&changed[..], &whole[..whole.len() - 40], &[]] {
        std::fs::write(file.path(), bytes).unwrap();
        let message = gguf.tensor("b").unwrap_err().to_string();
        assert!(message.contains(file.path().to_str().unwrap()), "{message}");
        assert!(message.contains("changed while it was read"), "{message}");
    }
    std::fs::write(file.path(), &whole).unwrap();
    assert_eq!(gguf.tensor("b").unwrap().unwrap(), [1.0; 32]);
}

#[test]
fn a_header_longer_than_what_is_read_ahead_is_read() {
    let mut long = MAGIC.to_vec();
    long.extend(3u32.to_le_bytes());
    long.extend(0u64.to_le_bytes());
    long.extend(2u64.to_le_bytes());
    let value = "v".repeat(AHEAD as usize + 3);
    for key in ["first", "second"] {
        text(&mut long, key);
        long.extend(8u32.to_le_bytes());
        text(&mut long, &value);
    }
    let gguf = open(&long).unwrap();
    assert_eq!(gguf.metadata("second"), Some(&Value::Text(value)));
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sample();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..keep.index(bytes.len())]] {
            if let Ok(header) = parsed(bytes) {
                for info in header.tensors.values() {
                    let place = info.bytes.start as usize..info.bytes.end as usize;
                    let values = info.quantisation.dequantise(&bytes[place]);
                    prop_assert_eq!(values.len(), info.shape.iter().product::<usize>());
                }
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let with_magic = [&MAGIC[..], &3u32.to_le_bytes(), &bytes].concat();
        prop_assert!(parsed(&bytes).is_err() || bytes.starts_with(MAGIC));
        let _ = parsed(&with_magic);
    }
}
