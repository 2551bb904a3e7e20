//! Alerts in a file.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use lifecycle_core::backend::{Alert, BackendError, BackendResult, EffectKey, ErrorKind, Notifier, Severity};
use serde::{Deserialize, Serialize};

/// So many bytes at the end of the file are searched for alerts that were delivered before: some ten
/// thousand.
const REMEMBERED: u64 = 4 * 1024 * 1024;

/// Appends each alert to a file, one JSON object a line (`{atMs, key, kind, severity, deployment, strategy,
/// message}`), and to the log. A repeated alert is told by its key, also after a restart.
#[derive(Debug)]
pub struct FileNotifier {
    path: PathBuf,
    delivered: Mutex<Option<BTreeSet<EffectKey>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    at_ms: u64,
    #[serde(flatten)]
    alert: &'a Alert,
}

#[derive(Deserialize)]
struct Key {
    key: EffectKey,
}

impl FileNotifier {
    /// A notifier that appends to this file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), delivered: Mutex::new(None) }
    }

    fn append(&self, alert: &Alert) -> io::Result<()> {
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        if delivered.is_none() {
            *delivered = Some(read_keys(&self.path)?);
        }
        let known = delivered.get_or_insert_default();
        if known.contains(&alert.key) {
            return Ok(());
        }
        let mut line = serde_json::to_vec(&Line { at_ms: crate::process::now_ms(), alert })?;
        line.push(b'\n');
        let mut file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        let whole = file.metadata()?.len();
        if let Err(error) = file.write_all(&line).and_then(|()| file.sync_data()) {
            // nothing half-written stays
            let _ = file.set_len(whole);
            return Err(error);
        }
        known.insert(alert.key.clone());
        match alert.severity {
            Severity::Critical => tracing::error!(key = %alert.key, "{}", alert.message),
            _ => tracing::warn!(key = %alert.key, "{}", alert.message),
        }
        Ok(())
    }
}

fn read_keys(path: &Path) -> io::Result<BTreeSet<EffectKey>> {
    let mut file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        other => other?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(REMEMBERED)))?;
    let keys = BufReader::new(file.take(REMEMBERED)).lines().map_while(Result::ok);
    Ok(keys.filter_map(|line| serde_json::from_str::<Key>(&line).ok()).map(|key| key.key).collect())
}

#[async_trait]
impl Notifier for FileNotifier {
    async fn notify(&self, alert: &Alert) -> BackendResult<()> {
        self.append(alert).map_err(|error| {
            let what = format!("cannot write {}: {error}", self.path.display());
            BackendError::new("local", "notify", ErrorKind::Transient, what).because(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::backend::AlertKind;

    use super::*;

    fn alert(key: &str) -> Alert {
        Alert::new(
            EffectKey(key.into()),
            AlertKind::RolledBack,
            Severity::Critical,
            "error_rate 7% is not below 1%".into(),
        )
        .about("edge-agent".into(), "canary".into())
    }

    #[tokio::test]
    async fn an_alert_is_written_once_also_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.log");
        for _restart in 0..2 {
            let notifier = FileNotifier::new(&path);
            for key in ["1/a", "1/a", "1/b"] {
                notifier.notify(&alert(key)).await.unwrap();
            }
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        for (field, value) in [
            ("key", "1/a"),
            ("kind", "rolledBack"),
            ("severity", "critical"),
            ("deployment", "edge-agent"),
            ("strategy", "canary"),
            ("message", "error_rate 7% is not below 1%"),
        ] {
            assert_eq!(line[field], value, "{text}");
        }
        assert!(line["atMs"].as_u64() > Some(0), "{text}");
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_that_names_the_file() {
        let error = FileNotifier::new("/dev/full").notify(&alert("1/a")).await.unwrap_err();
        assert!(error.to_string().contains("/dev/full") && error.kind == ErrorKind::Transient, "{error}");
    }
}
