//! Versions as people write them, normalised at the edge.

use semver::Version;
use thiserror::Error;

/// Why a version was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is not a version: write MAJOR.MINOR.PATCH like 1.5.0 (1.5 and v1.5.0 are understood)")]
#[non_exhaustive]
pub struct VersionError {
    /// What was written.
    pub text: String,
}

/// Reads a version as people write it: `1.5.0`, `v1.5.0`, `1.5` (is `1.5.0`), `1.5.0-rc.1+build`.
/// The result is a strict semantic version.
///
/// # Errors
/// Anything that is not a semantic version after a leading `v` is dropped and a missing minor or
/// patch number is taken as zero.
///
/// # Example
/// ```
/// # use lifecycle_core::version::parse_version;
/// assert_eq!(parse_version("v1.5").unwrap().to_string(), "1.5.0");
/// assert!(parse_version("abc").is_err());
/// ```
pub fn parse_version(text: &str) -> Result<Version, VersionError> {
    let error = || VersionError { text: text.to_owned() };
    let bare = text.trim();
    let bare = bare.strip_prefix(['v', 'V']).unwrap_or(bare);
    let core_end = bare.find(['-', '+']).unwrap_or(bare.len());
    let (core, rest) = bare.split_at(core_end);
    let padded = match core.split('.').count() {
        1 => format!("{core}.0.0{rest}"),
        2 => format!("{core}.0{rest}"),
        _ => bare.to_owned(),
    };
    Version::parse(&padded).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_becomes_a_strict_version() {
        for (text, strict) in [
            ("1.5.0", "1.5.0"),
            ("v2.0.0", "2.0.0"),
            ("1.5", "1.5.0"),
            ("3", "3.0.0"),
            ("v1.2-rc.1+b7", "1.2.0-rc.1+b7"),
        ] {
            assert_eq!(parse_version(text).map(|v| v.to_string()), Ok(strict.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_version_is_refused_with_what_is_accepted() {
        for text in ["", "abc", "1.2.3.4", "1..2", "01.2.3", "-1.0.0", "1.5.0 beta"] {
            let error = parse_version(text).unwrap_err().to_string();
            assert!(error.contains("MAJOR.MINOR.PATCH"), "{text}: {error}");
        }
    }
}
