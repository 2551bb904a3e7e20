//! What was asked of the API server, from its audit log.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Seek as _, SeekFrom};
use std::path::Path;

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::ControlPlaneError;

/// A moment from which requests are counted.
#[derive(Clone, Debug)]
pub struct Moment {
    time: Timestamp,
    /// Whatever is in the log before this was received before the moment.
    offset: u64,
}

/// One request to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiRequest {
    /// Who asked: `admin`, `system:serviceaccount:default:operator`.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// What was asked for, with its subresource: `deployments`, `agentdeployments/status`. The path where it is no
    /// resource: `/version`.
    pub resource: String,
    /// The namespace, empty where there is none.
    pub namespace: String,
    /// The name of the object, empty where there is none.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// Path and query.
    pub uri: String,
}

impl ApiRequest {
    /// The beginning of a watch.
    pub fn is_watch(&self) -> bool {
        self.verb == "watch"
    }

    /// Reading or renewing a Lease.
    pub fn is_lease(&self) -> bool {
        self.resource == "leases"
    }

    /// Did it read a whole collection: a list, or a watch that begins with one?
    pub fn is_list(&self) -> bool {
        self.verb == "list" || (self.is_watch() && self.uri.contains("sendInitialEvents=true"))
    }
}

/// How many requests there were by user, verb and resource.
pub fn counts<'a>(
    requests: impl IntoIterator<Item = &'a ApiRequest>,
) -> BTreeMap<(&'a str, &'a str, &'a str), usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts.entry((&*request.user, &*request.verb, &*request.resource)).or_default() += 1;
    }
    counts
}

/// A line of the log, as far as it matters here (`audit.k8s.io/v1`, Event).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(rename = "auditID")]
    id: String,
    #[serde(rename = "requestURI")]
    uri: String,
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: Option<Object>,
    #[serde(default)]
    response_status: Option<Status>,
    request_received_timestamp: Timestamp,
}

#[derive(Debug, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl Moment {
    pub(super) fn now(log: &Path) -> Result<Self, ControlPlaneError> {
        // The size first: a line that comes in between has a time, too.
        let offset = match std::fs::metadata(log) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(unreadable(error)),
        };
        Ok(Self { time: Timestamp::now(), offset })
    }

    pub(super) fn requests(&self, log: &Path) -> Result<Vec<ApiRequest>, ControlPlaneError> {
        let mut file = match File::open(log) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened.map_err(unreadable)?,
        };
        file.seek(SeekFrom::Start(self.offset)).map_err(unreadable)?;
        let (mut seen, mut requests) = (BTreeSet::new(), Vec::new());
        for text in BufReader::new(file).lines() {
            // The first line may be the rest of one, the last one the beginning: neither has a time.
            let Ok(line) = serde_json::from_str::<Line>(&text.map_err(unreadable)?) else { continue };
            // A watch is written down twice.
            if line.request_received_timestamp >= self.time && seen.insert(line.id.clone()) {
                requests.push(line.into());
            }
        }
        Ok(requests)
    }
}

fn unreadable(source: std::io::Error) -> ControlPlaneError {
    ControlPlaneError::io("read the audit log")(source)
}

impl From<Line> for ApiRequest {
    fn from(line: Line) -> Self {
        let object = line.object_ref.unwrap_or_default();
        let resource = match (object.resource.is_empty(), object.subresource.is_empty()) {
            (true, _) => line.uri.split('?').next().unwrap_or_default().to_owned(),
            (false, true) => object.resource,
            (false, false) => format!("{}/{}", object.resource, object.subresource),
        };
        Self {
            user: line.user.username,
            verb: line.verb,
            resource,
            namespace: object.namespace,
            name: object.name,
            code: line.response_status.map_or(0, |status| status.code),
            uri: line.uri,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    fn line(id: &str, verb: &str, object: serde_json::Value, time: Timestamp) -> String {
        let line = json!({
            "auditID": id, "stage": "ResponseComplete", "requestURI": "/apis/apps/v1/x?watch=true", "verb": verb,
            "user": { "username": "operator" }, "objectRef": object, "responseStatus": { "code": 200 },
            "requestReceivedTimestamp": time,
        });
        format!("{line}\n")
    }

    #[test]
    fn a_request_counts_once_and_when_it_was_received_after_the_moment() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        let before = Timestamp::now();
        let old = line("0", "get", json!({ "resource": "pods" }), before);
        let (written, rest) = old.split_at(40);
        log.write_all(written.as_bytes()).unwrap();
        let moment = Moment::now(log.path()).unwrap();
        let after = Timestamp::now();
        let status =
            json!({ "resource": "deployments", "subresource": "status", "namespace": "a", "name": "web" });
        let slow = line("1", "list", json!({ "resource": "pods" }), before);
        let patch = line("2", "patch", status, after);
        let watch = line("3", "watch", json!({ "resource": "pods" }), after);
        let health = line("4", "get", json!(null), after);
        let unfinished = &line("5", "get", json!({ "resource": "pods" }), after)[..50];
        for text in [rest, &slow, &patch, &watch, &watch, &health, unfinished] {
            log.write_all(text.as_bytes()).unwrap();
        }
        let requests = moment.requests(log.path()).unwrap();
        let expected = [
            (("operator", "get", "/apis/apps/v1/x"), 1),
            (("operator", "patch", "deployments/status"), 1),
            (("operator", "watch", "pods"), 1),
        ];
        assert_eq!(counts(&requests), expected.into());
        assert_eq!((&*requests[0].namespace, &*requests[0].name, requests[0].code), ("a", "web", 200));
    }

    #[test]
    fn a_watch_that_begins_with_all_objects_is_a_list_too() {
        let request = |verb: &str, uri: &str| ApiRequest {
            user: String::new(),
            verb: verb.to_owned(),
            resource: "pods".to_owned(),
            namespace: String::new(),
            name: String::new(),
            code: 200,
            uri: uri.to_owned(),
        };
        assert!(request("list", "/api/v1/pods").is_list());
        assert!(request("watch", "/api/v1/pods?watch=true&sendInitialEvents=true").is_list());
        assert!(!request("watch", "/api/v1/pods?watch=true&resourceVersion=5").is_list());
    }
}
