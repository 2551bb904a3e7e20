//! What was asked of the API server, from its audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::ControlPlaneError;

/// How long the answers to requests that were received are waited for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
const READ_AGAIN: Duration = Duration::from_millis(5);

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
    /// The HTTP status of the answer, 0 where none was written down: the server was killed before.
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
    stage: Stage,
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: Option<Object>,
    #[serde(default)]
    response_status: Option<Status>,
    request_received_timestamp: Timestamp,
}

/// A request is received before anything is done about it, and answered later; only a watch has more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
enum Stage {
    RequestReceived,
    #[serde(other)]
    Answered,
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

    /// The line of an answer is written when the answer is on its way already, that of a request before anything is done
    /// about it: once every request that is in the log has its answer, nothing is missing that anybody could have noticed.
    pub(super) async fn requests(&self, log: &Path) -> Result<Vec<ApiRequest>, ControlPlaneError> {
        let begun = Instant::now();
        let mut received = self.read(log)?;
        let first = received.len();
        while received[..first].iter().any(|request| request.code == 0) && begun.elapsed() < ANSWERED_WITHIN {
            tokio::time::sleep(READ_AGAIN).await;
            received = self.read(log)?;
        }
        received.truncate(first);
        Ok(received)
    }

    /// What is in the log by now, in the order in which it was received.
    fn read(&self, log: &Path) -> Result<Vec<ApiRequest>, ControlPlaneError> {
        let mut file = match File::open(log) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened.map_err(unreadable)?,
        };
        file.seek(SeekFrom::Start(self.offset)).map_err(unreadable)?;
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut requests: Vec<ApiRequest> = Vec::new();
        for text in BufReader::new(file).lines() {
            // The first line may be the rest of one, the last one the beginning: neither has a time.
            let Ok(line) = serde_json::from_str::<Line>(&text.map_err(unreadable)?) else { continue };
            if line.request_received_timestamp < self.time {
                continue;
            }
            match (places.get(&line.id), line.stage) {
                (Some(&place), _) => requests[place].code = line.code(),
                (None, Stage::RequestReceived) => {
                    places.insert(line.id.clone(), requests.len());
                    requests.push(line.into());
                }
                // its first line is before the moment, by the clock of another core
                (None, Stage::Answered) => {}
            }
        }
        Ok(requests)
    }
}

fn unreadable(source: std::io::Error) -> ControlPlaneError {
    ControlPlaneError::io("read the audit log")(source)
}

impl Line {
    fn code(&self) -> u16 {
        self.response_status.as_ref().map_or(0, |status| status.code)
    }
}

impl From<Line> for ApiRequest {
    fn from(line: Line) -> Self {
        let code = line.code();
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
            code,
            uri: line.uri,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    fn line(id: &str, stage: &str, verb: &str, object: serde_json::Value, time: Timestamp) -> String {
        let code = if stage == "RequestReceived" { json!(null) } else { json!({ "code": 200 }) };
        let line = json!({
            "auditID": id, "stage": stage, "requestURI": "/apis/apps/v1/x?watch=true", "verb": verb,
            "user": { "username": "operator" }, "objectRef": object, "responseStatus": code,
            "requestReceivedTimestamp": time,
        });
        format!("{line}\n")
    }

    fn both(id: &str, verb: &str, object: &serde_json::Value, time: Timestamp) -> String {
        ["RequestReceived", "ResponseComplete"]
            .map(|stage| line(id, stage, verb, object.clone(), time))
            .concat()
    }

    #[tokio::test]
    async fn a_request_counts_once_and_when_it_was_received_after_the_moment() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        let before = Timestamp::now();
        let pods = json!({ "resource": "pods" });
        let old = both("0", "get", &pods, before);
        let (written, rest) = old.split_at(40);
        log.write_all(written.as_bytes()).unwrap();
        let moment = Moment::now(log.path()).unwrap();
        let after = Timestamp::now();
        let status =
            json!({ "resource": "deployments", "subresource": "status", "namespace": "a", "name": "web" });
        let slow = both("1", "list", &pods, before);
        let patch = both("2", "patch", &status, after);
        let watch = both("3", "watch", &pods, after);
        let ended = line("3", "ResponseComplete", "watch", pods.clone(), after);
        let health = both("4", "get", &json!(null), after);
        let unfinished = &both("5", "get", &pods, after)[..50];
        for text in [rest, &slow, &patch, &watch, &ended, &health, unfinished] {
            log.write_all(text.as_bytes()).unwrap();
        }
        let requests = moment.requests(log.path()).await.unwrap();
        let expected = [
            (("operator", "get", "/apis/apps/v1/x"), 1),
            (("operator", "patch", "deployments/status"), 1),
            (("operator", "watch", "pods"), 1),
        ];
        assert_eq!(counts(&requests), expected.into());
        assert_eq!((&*requests[0].namespace, &*requests[0].name, requests[0].code), ("a", "web", 200));
    }

    #[tokio::test]
    async fn a_request_that_was_received_is_waited_for_until_it_was_answered() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        let moment = Moment::now(log.path()).unwrap();
        let (now, pods) = (Timestamp::now(), json!({ "resource": "pods" }));
        log.write_all(line("0", "RequestReceived", "get", pods.clone(), now).as_bytes()).unwrap();
        let path = log.path().to_owned();
        let read = moment.requests(&path);
        futures::pin_mut!(read);
        assert!(futures::poll!(&mut read).is_pending());
        log.write_all(line("1", "RequestReceived", "get", pods.clone(), now).as_bytes()).unwrap();
        log.write_all(line("0", "ResponseComplete", "get", pods, now).as_bytes()).unwrap();
        let codes: Vec<u16> = read.await.unwrap().iter().map(|request| request.code).collect();
        assert_eq!(codes, [200]);
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
