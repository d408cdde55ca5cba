//! Names that others choose and that become parts of a path on this machine.

/// Whether `name` is a file or folder right below the one it is joined to, on every system: no way
/// up, no path, no drive, nothing that ends a name early.
pub(super) fn is_part(name: &str) -> bool {
    let drive = name.as_bytes().get(1) == Some(&b':')
        && name.starts_with(|c: char| c.is_ascii_alphabetic());
    !matches!(name, "" | "." | "..")
        && !drive
        && !name.contains(|c: char| matches!(c, '/' | '\\') || c.is_control())
}

/// Whether `path` is parts as [`is_part`] wants them, with a slash between each two.
pub(super) fn is_path(path: &str) -> bool {
    path.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_stay_below_are_plain() {
        for path in ["config.json", "onnx/model.onnx_data", "a b", "..a", "a..", "é", ".hidden"] {
            assert!(is_path(path), "{path}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_not() {
        for path in [
            "",
            ".",
            "..",
            "/etc/passwd",
            "a/../../b",
            "a//b",
            "a/",
            "./a",
            "a\\..\\b",
            "C:",
            "c:\\a",
            "a/C:b",
            "a\0b",
            "a\nb",
        ] {
            assert!(!is_path(path), "{path:?}");
        }
        assert!(!is_part("a/b"));
    }
}
