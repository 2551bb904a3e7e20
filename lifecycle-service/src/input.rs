//! Files that people wrote. Whatever is wrong with one is a bad input, named by its path.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use thiserror::Error;

/// A manifest or scenario of more bytes is refused unread.
const MAX_BYTES: u64 = 1024 * 1024;

/// What was given cannot be used: exit status 2, one line, nothing changed.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct BadInput(String);

impl BadInput {
    /// In this file.
    pub(crate) fn in_file(path: &Path, problem: impl std::fmt::Display) -> Self {
        let name = if is_stdin(path) { "standard input".into() } else { path.to_string_lossy() };
        Self(format!("{name}: {}", one_line(&problem.to_string())))
    }

    /// Whatever is wrong.
    pub(crate) fn new(problem: impl std::fmt::Display) -> Self {
        Self(one_line(&problem.to_string()))
    }
}

/// Does this path stand for standard input?
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads a text of a reasonable size from a file, or from standard input where the path is `-`.
pub(crate) fn read_or_stdin(path: &Path) -> Result<String, BadInput> {
    if is_stdin(path) { text(path, std::io::stdin().lock()) } else { read(path) }
}

/// Reads a text file of a reasonable size.
pub(crate) fn read(path: &Path) -> Result<String, BadInput> {
    let bad = |problem: &dyn std::fmt::Display| BadInput::in_file(path, problem);
    let file = File::open(path).map_err(|error| bad(&io_problem(&error)))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(bad(&"is a directory, not a file"));
    }
    text(path, file)
}

fn text(path: &Path, source: impl std::io::Read) -> Result<String, BadInput> {
    let bad = |problem: &dyn std::fmt::Display| BadInput::in_file(path, problem);
    let mut bytes = Vec::new();
    source.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| bad(&io_problem(&error)))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(bad(&"is larger than 1 MiB, the most that is read"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        bad(&format!("is not UTF-8 text (byte {})", error.utf8_error().valid_up_to() + 1))
    })?;
    if text.trim().is_empty() {
        return Err(bad(&"is empty, where one document is expected"));
    }
    Ok(text)
}

fn io_problem(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
        _ => error.to_string(),
    }
}

/// A problem in one line, whatever its source put into it.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line() {
        assert_eq!(BadInput::new("line 1:\n   this\n is wrong\n").to_string(), "line 1: this is wrong");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.yaml");
        assert_eq!(read(&missing).unwrap_err().to_string(), format!("{}: no such file", missing.display()));
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("is a directory, not a file"), "{error}");
    }
}
