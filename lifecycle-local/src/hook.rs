//! Hooks that are called by HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use hyper::{Method, Uri};
use lifecycle_core::backend::{
    BackendError, BackendResult, EffectKey, ErrorKind, Hook, HookCall, HookOutcome,
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::http::Call;

/// Outcomes that are remembered; the oldest that have ended are forgotten beyond that.
const REMEMBERED: usize = 256;

/// POSTs JSON to the hook's URL: `{key, point, deployment, version, revision, hash}`, with the key in the
/// header `Idempotency-Key` too. Passed by a status from 200 to 299.
///
/// What is known of a call is in memory: after a restart in the middle of a hook it is called again
/// with the same key, by which the receiver can tell. Only `http://` is spoken here.
#[derive(Debug, Default)]
pub struct HttpHook {
    calls: Arc<Mutex<BTreeMap<EffectKey, Progress>>>,
}

#[derive(Debug)]
struct Progress {
    started: Instant,
    outcome: HookOutcome,
    call: Option<JoinHandle<()>>,
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            call.abort();
        }
    }
}

impl HttpHook {
    /// A runner that has called nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Hook for HttpHook {
    async fn run(&self, call: &HookCall) -> BackendResult<HookOutcome> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = calls.get(&call.key) {
            return Ok(progress.outcome.clone());
        }
        let (host, port, path) = parse_url(&call.url)
            .map_err(|why| BackendError::new("local", "hook", ErrorKind::Invalid, why))?;
        let body = json!({
            "key": call.key,
            "point": call.point,
            "deployment": call.deployment,
            "version": call.revision.version,
            "revision": call.revision.number,
            "hash": call.revision.hash,
        });
        let request = Call::new(Method::POST, &path, Bytes::from(body.to_string()), call.timeout.into())
            .map_err(|error| BackendError::new("local", "hook", ErrorKind::Invalid, error.to_string()))?
            .header("host", &format!("{host}:{port}"))
            .header("idempotency-key", &call.key.0)
            .answer_limit(64 * 1024);
        let (all, key, url) = (Arc::clone(&self.calls), call.key.clone(), Arc::clone(&call.url));
        let timeout = Duration::from(call.timeout);
        let task = tokio::spawn(async move {
            let outcome = match request.tcp(&host, port).await {
                Ok(answer) if answer.status.is_success() => HookOutcome::Passed,
                Ok(answer) => {
                    HookOutcome::Failed(format!("POST {url}: {}{}", answer.status, words(&answer.body)))
                }
                Err(error) => {
                    HookOutcome::Failed(format!("POST {url}: {error} (timeout {} ms)", timeout.as_millis()))
                }
            };
            if let Some(progress) = all.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&key) {
                progress.outcome = outcome;
                progress.call = None;
            }
        });
        if calls.len() >= REMEMBERED {
            // what has not ended is asked for again
            let ended = calls.iter().filter(|(_, progress)| progress.outcome != HookOutcome::Pending);
            let oldest = ended.min_by_key(|(_, progress)| progress.started).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                calls.remove(&oldest);
            }
        }
        calls.insert(
            call.key.clone(),
            Progress { started: Instant::now(), outcome: HookOutcome::Pending, call: Some(task) },
        );
        Ok(HookOutcome::Pending)
    }

    fn accepts(&self, url: &str) -> Result<(), String> {
        parse_url(url).map(drop)
    }
}

/// Host, port and path, or what is accepted.
fn parse_url(url: &str) -> Result<(String, u16, String), String> {
    let invalid = |why: &str| format!("{url:?} {why}; write http://HOST:PORT/PATH");
    let uri: Uri = url.parse().map_err(|_| invalid("is not a URL"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some(scheme) => {
            return Err(invalid(&format!("cannot be called from here, which speaks no {scheme}")));
        }
        None => return Err(invalid("is not a whole URL")),
    }
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| invalid("names no host"))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok((host.trim_matches(['[', ']']).to_owned(), uri.port_u16().unwrap_or(80), path.to_owned()))
}

/// The beginning of what the hook said.
fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::backend::HookPoint;
    use lifecycle_core::time::Millis;
    use lifecycle_core::version::{Revision, RevisionNumber, parse_version};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn call(key: &str, url: &str, timeout: u64) -> HookCall {
        let revision = Revision::new(RevisionNumber(2), "abc", parse_version("1.5.0").unwrap());
        HookCall::new(EffectKey(key.into()), HookPoint::Smoke, url.into(), Millis(timeout), revision)
            .of("edge-agent".into())
    }

    /// Answers every connection with this, and says what it was sent.
    async fn receiver(answer: &'static str) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sent, received) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = Vec::new();
                // the body is the last thing, and ends with the only closing brace
                while !text.ends_with(b"}") && stream.read_buf(&mut text).await.is_ok_and(|n| n > 0) {}
                let _ = sent.send(String::from_utf8_lossy(&text).into_owned());
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (url, received)
    }

    async fn outcome(hook: &HttpHook, call: &HookCall) -> HookOutcome {
        let ended = async {
            loop {
                match hook.run(call).await.unwrap() {
                    HookOutcome::Pending => tokio::time::sleep(Duration::from_millis(5)).await,
                    outcome => return outcome,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap()
    }

    #[tokio::test]
    async fn a_hook_is_called_once_however_often_it_is_asked_about() {
        let (url, mut received) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
        let (hook, call) = (HttpHook::new(), call("3/1/smoke", &url, 5000));
        assert_eq!(hook.run(&call).await.unwrap(), HookOutcome::Pending);
        assert_eq!(outcome(&hook, &call).await, HookOutcome::Passed);
        assert_eq!(hook.run(&call).await.unwrap(), HookOutcome::Passed);
        let request = received.recv().await.unwrap();
        assert!(
            request.starts_with("POST /hook HTTP/1.1\r\n")
                && request.contains("idempotency-key: 3/1/smoke\r\n"),
            "{request}"
        );
        assert!(
            [r#""point":"smoke""#, r#""version":"1.5.0""#, r#""deployment":"edge-agent""#]
                .iter()
                .all(|field| request.contains(field)),
            "{request}"
        );
        assert!(received.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_hook_that_says_no_or_nothing_has_failed() {
        let (url, _received) = receiver("HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nno:(").await;
        let said_no = outcome(&HttpHook::new(), &call("a", &url, 5000)).await;
        assert!(
            matches!(&said_no, HookOutcome::Failed(why) if why.contains("500") && why.contains("no:(")),
            "{said_no:?}"
        );
        let (url, _received) = receiver("").await;
        let silent = outcome(&HttpHook::new(), &call("b", &url, 50)).await;
        assert!(matches!(&silent, HookOutcome::Failed(why) if why.contains("50 ms")), "{silent:?}");
    }

    /// Or it would be called again, and again.
    #[tokio::test]
    async fn a_hook_that_has_not_ended_is_not_forgotten_however_many_there_are() {
        let (url, _received) = receiver("").await;
        let hook = HttpHook::new();
        let calls: Vec<_> = (0..=REMEMBERED).map(|n| call(&n.to_string(), &url, 60_000)).collect();
        for call in &calls {
            assert_eq!(hook.run(call).await.unwrap(), HookOutcome::Pending);
        }
        assert_eq!(hook.calls.lock().unwrap().len(), calls.len());
    }

    #[tokio::test]
    async fn a_url_that_cannot_be_called_is_invalid() {
        for url in ["ftp://x/", "https://x/", "nothing", ""] {
            let error = HttpHook::new().run(&call("a", url, 10)).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Invalid, "{url}");
        }
    }

    #[test]
    fn only_what_can_be_called_is_accepted_and_the_refusal_says_what_can() {
        for url in ["http://127.0.0.1:8080/smoke", "http://tests.internal", "http://[::1]:80/?all=1"] {
            assert_eq!(HttpHook::new().accepts(url), Ok(()), "{url}");
        }
        for (url, says) in [
            ("https://x/", "speaks no https"),
            ("ftp://x/", "speaks no ftp"),
            ("x:80/y z", "is not a URL"),
            ("/smoke", "is not a whole URL"),
            ("", "is not a URL"),
        ] {
            let why = HttpHook::new().accepts(url).unwrap_err();
            assert!(why.contains(says) && why.ends_with("write http://HOST:PORT/PATH"), "{why}");
        }
    }
}
