//! Versions and revisions: what is rolled out, and how it is told apart.

mod revision;
mod text;

pub use revision::{Revision, RevisionNumber, revision_hash};
pub use text::{VersionError, parse_version};

/// A strict semantic version.
pub use semver::Version;
