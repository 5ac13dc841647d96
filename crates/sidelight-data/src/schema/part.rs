//! Words for the parts of a division.

/// The part a cell names, in one of three words (`train`, `valid`, `test`): `training`, `validation`, `val`, `dev`
/// and `testing` are understood, in any case.
pub(crate) fn part_named(text: &str) -> Option<&'static str> {
    match text.trim().to_ascii_lowercase().as_str() {
        "train" | "training" => Some("train"),
        "valid" | "validation" | "val" | "dev" => Some("valid"),
        "test" | "testing" => Some("test"),
        _ => None,
    }
}
