//! A revision: one version with one template, numbered in the order of first use.

use std::fmt;
use std::sync::Arc;

use semver::Version;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The number of a revision within its rollout target. Numbers grow and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[allow(clippy::exhaustive_structs, reason = "a newtype: its one field is what it is")]
pub struct RevisionNumber(pub u32);

impl fmt::Display for RevisionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// One version with one template. Backends name what they own after `hash` or `number`; people see
/// `version`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Revision {
    /// Order of first use within the rollout target.
    pub number: RevisionNumber,
    /// Identity of what runs: [`revision_hash`] of version, template and configuration.
    pub hash: Arc<str>,
    /// The version people know it by.
    pub version: Version,
}

impl Revision {
    /// A revision with this number, identity and version.
    #[must_use]
    pub fn new(number: RevisionNumber, hash: impl Into<Arc<str>>, version: Version) -> Self {
        Self { number, hash: hash.into(), version }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.version, self.number)
    }
}

/// The identity of what a spec runs: the first 10 hexadecimal digits of the SHA-256 of its version
/// and its template. Equal specs give equal hashes on every machine; 40 bits keep two of the at
/// most a few thousand revisions of one target apart with a probability of a collision below 1e-5.
///
/// # Example
/// ```
/// # use lifecycle_core::version::{parse_version, revision_hash};
/// let version = parse_version("1.5.0").unwrap();
/// let a = revision_hash(&version, &serde_json::json!({"command": ["agent"]}));
/// let b = revision_hash(&version, &serde_json::json!({"command": ["agent", "--fast"]}));
/// assert_ne!(a, b);
/// ```
#[must_use]
pub fn revision_hash(version: &Version, template: &serde_json::Value) -> String {
    // serde_json keeps object keys sorted (its map is a BTreeMap without `preserve_order`).
    let digest =
        Sha256::new().chain_update(version.to_string()).chain_update([0]).chain_update(template.to_string());
    digest.finalize().iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}
