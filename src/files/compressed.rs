//! Files that are read, compressed or not: by gzip where their names end in `.gz`, by bzip2 where they end in
//! `.bz2`, of one stream or several.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;

/// How much of a file is read at once, in bytes.
const BUFFER: usize = 1 << 18;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    Gzip,
    Bzip2,
}

fn compression(file: &Path) -> Option<Compression> {
    let extension = file.extension()?;
    if extension.eq_ignore_ascii_case("gz") {
        Some(Compression::Gzip)
    } else if extension.eq_ignore_ascii_case("bz2") {
        Some(Compression::Bzip2)
    } else {
        None
    }
}

/// What a file's name would be if it were not compressed, without its folder.
pub fn uncompressed_name(file: &Path) -> Option<&OsStr> {
    if compression(file).is_some() { file.file_stem() } else { file.file_name() }
}

/// Opens a file, to read what it holds before it was compressed.
///
/// Of one that breaks off before its compressed stream ends the reader gives an error of the kind
/// [`io::ErrorKind::UnexpectedEof`].
///
/// # Errors
/// Where it cannot be opened.
pub fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    let opened = File::open(file)?;
    let buffered = |opened| BufReader::with_capacity(BUFFER, opened);
    Ok(match compression(file) {
        None => Box::new(opened),
        Some(Compression::Gzip) => Box::new(MultiGzDecoder::new(buffered(opened))),
        Some(Compression::Bzip2) => Box::new(MultiBzDecoder::new(buffered(opened))),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    fn bzip2(text: &[u8]) -> Vec<u8> {
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn names_say_how_a_file_is_compressed() {
        let name = |file: &str| uncompressed_name(Path::new(file)).map(OsStr::to_owned);
        assert_eq!(name("a/b.ttl.GZ"), Some("b.ttl".into()));
        assert_eq!(name("a/b.ttl.bz2"), Some("b.ttl".into()));
        assert_eq!(name("a/b.ttl"), Some("b.ttl".into()));
        assert_eq!((name("gz"), name("a.bz2")), (Some("gz".into()), Some("a".into())));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Whatever the streams of a file are, all of them are read; of one that is cut within its last
        /// stream that is told.
        #[test]
        fn all_streams_are_read(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 1..4),
            cut in 0.0..1.0,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let whole = texts.concat();
            type Compress = fn(&[u8]) -> Vec<u8>;
            for (name, compress) in [("a.gz", gzip as Compress), ("a.bz2", bzip2)] {
                let file = folder.path().join(name);
                let streams: Vec<Vec<u8>> = texts.iter().map(|text| compress(text)).collect();
                std::fs::write(&file, streams.concat()).unwrap();
                let mut read = Vec::new();
                open(&file).unwrap().read_to_end(&mut read).unwrap();
                prop_assert_eq!(&read, &whole);

                let last = streams[streams.len() - 1].len();
                let kept = 1 + (cut * (last - 1) as f64) as usize;
                let bytes = streams.concat();
                std::fs::write(&file, &bytes[..bytes.len() - last + kept.min(last - 1)]).unwrap();
                let error = open(&file).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
                prop_assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            }
        }
    }
}
