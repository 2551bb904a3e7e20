//! The proxy's own counts as a [`HealthSource`].
//!
//! The proxy keeps the history of its counts itself, so that a driver that was away misses nothing.
//! When the proxy was started again its history begins there: a window that reaches further back is
//! answered for the part since, and no count is ever the difference of two runs of the proxy.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lifecycle_core::backend::{
    BackendError, BackendResult, Counted, Counts, ErrorKind, HealthCapabilities, HealthQuery, HealthSource,
    Histogram, Increase, Mark, Reading, Signal, Span,
};
use lifecycle_core::time::Millis;
use lifecycle_core::version::Revision;
use serde::Deserialize;

use crate::control::{Client, ControlError};
use crate::files::read_json;
use crate::http::CallError;
use crate::proxy::{MINUTE, MINUTES, Stats, Totals};

/// How long all the windows of one call may take together: a proxy that hangs keeps the driver waiting
/// once, however many windows the checks look at.
const DEADLINE: Duration = Duration::from_secs(2);

/// The proxy's own exact counts and histograms by revision.
///
/// By replica and bin ([`Span::Replicas`]) in whole minutes, of the last 60 that the proxy has run.
///
/// - [`Signal::Requests`]: failed are answers with 5xx, answers that broke off, and requests that no
///   replica took (502, 503 and 504 by the proxy).
/// - [`Signal::Latency`]: from the head of a request to the end of its response.
/// - [`Signal::CriticalAlerts`]: those of the file `alerts.json` in the state directory, 0 without
///   one: a list of `{"name": TEXT, "version": TEXT or left out for all}`.
/// - [`Signal::Saturation`], [`Signal::Restarts`] and [`Signal::Named`]: not measured.
#[derive(Debug)]
pub struct LocalHealth {
    client: Client,
    alerts: PathBuf,
}

/// An alert that fires now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Firing {
    #[allow(dead_code, reason = "for whoever reads the file")]
    name: String,
    #[serde(default)]
    version: Option<String>,
}

impl LocalHealth {
    pub(crate) const fn new(client: Client, alerts: PathBuf) -> Self {
        Self { client, alerts }
    }

    async fn stats(&self, span: Span) -> Result<Stats, ControlError> {
        match span {
            Span::Window(window) => self.client.stats_of(window.into()).await,
            Span::Since(mark) => {
                let until = mark.and_then(|mark| u64::try_from(mark.0).ok());
                self.client.stats_since(until.unwrap_or(0)).await
            }
            Span::Replicas { width, bins } => {
                let minutes = minutes(width).unwrap_or(1).saturating_mul(bins as usize);
                self.client.stats_of_replicas(minutes.clamp(1, MINUTES)).await
            }
            other => Err(ControlError::Answer(format!("{other:?} is not counted"))),
        }
    }

    fn alerts(&self, revision: &Revision) -> BackendResult<Reading> {
        let firing = read_json::<Vec<Firing>>(&self.alerts)
            .map_err(|error| failed(ErrorKind::Invalid, error.to_string()))?
            .unwrap_or_default();
        let version = revision.version.to_string();
        let ours = firing.iter().filter(|alert| alert.version.as_ref().is_none_or(|named| *named == version));
        Ok(Reading::Scalar(f64::from(u32::try_from(ours.count()).unwrap_or(u32::MAX))))
    }
}

#[async_trait]
impl HealthSource for LocalHealth {
    fn capabilities(&self) -> HealthCapabilities {
        HealthCapabilities::default().increases().replicas()
    }

    async fn measure(&self, queries: &[HealthQuery]) -> Vec<BackendResult<Reading>> {
        // one call a span, whatever is asked about it: its answers fit together
        let mut spans: BTreeMap<Span, Result<Stats, ControlError>> = BTreeMap::new();
        let deadline = tokio::time::Instant::now() + DEADLINE;
        for query in queries.iter().filter(|query| is_counted(query)) {
            if let Entry::Vacant(place) = spans.entry(query.span) {
                let stats = tokio::time::timeout_at(deadline, self.stats(query.span)).await;
                let late = |_| Err(ControlError::Call(CallError::Timeout(DEADLINE)));
                place.insert(stats.unwrap_or_else(late));
            }
        }
        let answer = |query: &HealthQuery| match (&query.signal, spans.get(&query.span)) {
            (Signal::CriticalAlerts, _) => self.alerts(&query.revision),
            (_, Some(Ok(stats))) if is_counted(query) => Ok(reading(stats, query)),
            (_, Some(Err(error))) if is_counted(query) => {
                Err(failed(ErrorKind::Transient, error.to_string()))
            }
            (signal, _) => {
                let problem = format!("{signal} over {:?} is not measured here", query.span);
                Err(failed(ErrorKind::Unsupported, problem))
            }
        };
        queries.iter().map(answer).collect()
    }
}

fn is_counted(query: &HealthQuery) -> bool {
    let counted = matches!(query.signal, Signal::Requests | Signal::Latency);
    let over = match query.span {
        Span::Window(_) | Span::Since(_) => true,
        Span::Replicas { width, .. } => minutes(width).is_some(),
        _ => false,
    };
    counted && over
}

/// How many minutes that is, where it is a whole number of them.
fn minutes(width: Millis) -> Option<usize> {
    let (width, minute) = (Duration::from(width).as_millis(), MINUTE.as_millis());
    usize::try_from(width / minute).ok().filter(|minutes| *minutes > 0 && width % minute == 0)
}

fn reading(stats: &Stats, query: &HealthQuery) -> Reading {
    if let Span::Replicas { width, .. } = query.span {
        return replicas(stats, query, minutes(width).unwrap_or(1));
    }
    let counted = stats.revisions.get(&query.revision.hash).map(|counted| &counted.totals);
    let durations = |buckets: Vec<u64>| Histogram::new(Arc::from(stats.bounds_us.as_slice()), buckets);
    if let Span::Since(mark) = query.span {
        let until = Mark(stats.until_ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or_default());
        if mark.is_none() || stats.lost {
            return Reading::Increase(Increase::new(until, None));
        }
        // a revision that had no request yet has none
        let none = Totals::default();
        let bounds = Arc::from(stats.bounds_us.as_slice());
        let counted = counted_of(&query.signal, &bounds, counted.unwrap_or(&none));
        return Reading::Increase(Increase::new(until, Some(counted)));
    }
    match (counted, &query.signal) {
        (None, _) => Reading::NoData,
        (Some(totals), Signal::Latency) => Reading::Histogram(durations(totals.buckets.clone())),
        (Some(totals), _) => Reading::Counts { requests: totals.requests, failed: totals.failed },
    }
}

/// What each replica counted in bins of so many minutes, the newest last.
fn replicas(stats: &Stats, query: &HealthQuery, minutes: usize) -> Reading {
    let bounds = Arc::from(stats.bounds_us.as_slice());
    let of_replica = |bins: &Vec<Totals>| {
        let whole = bins.rchunks_exact(minutes).rev();
        let merged = whole.map(|bins| bins.iter().fold(Totals::default(), |sum, bin| sum.and(bin)));
        merged.map(|totals| counted_of(&query.signal, &bounds, &totals)).collect()
    };
    let all = stats.replicas.get(&query.revision.hash);
    Reading::Replicas(all.map(|all| all.iter().map(of_replica).collect()).unwrap_or_default())
}

fn counted_of(signal: &Signal, bounds: &Arc<[u64]>, totals: &Totals) -> Counted {
    match signal {
        Signal::Latency => {
            let mut buckets = totals.buckets.clone();
            buckets.resize(bounds.len() + 1, 0);
            Counted::Durations(Histogram::new(Arc::clone(bounds), buckets))
        }
        _ => {
            let failed = totals.failed.min(totals.requests);
            Counted::Requests(Counts::new(failed, totals.requests).unwrap_or_default())
        }
    }
}

fn failed(kind: ErrorKind, message: String) -> BackendError {
    BackendError::new("local", "measure", kind, message)
}

#[cfg(test)]
mod tests {
    use lifecycle_core::version::{RevisionNumber, parse_version};

    use super::*;

    #[tokio::test]
    async fn alerts_of_the_file_count_for_their_version() {
        let dir = tempfile::tempdir().unwrap();
        let health = LocalHealth::new(Client::new(dir.path()), dir.path().join("alerts.json"));
        let revision = Revision::new(RevisionNumber(1), "a", parse_version("1.5.0").unwrap());
        let query = [HealthQuery::new(Signal::CriticalAlerts, revision, Millis::ZERO)];
        let mut readings = Vec::new();
        for text in [
            None,
            Some(r#"[{"name":"a"},{"name":"b","version":"1.5.0"},{"name":"c","version":"1.4.0"}]"#),
            Some("{"),
        ] {
            if let Some(text) = text {
                std::fs::write(dir.path().join("alerts.json"), text).unwrap();
            }
            readings.push(health.measure(&query).await.remove(0).map_err(|error| error.kind));
        }
        assert_eq!(readings, [Ok(Reading::Scalar(0.0)), Ok(Reading::Scalar(2.0)), Err(ErrorKind::Invalid)]);
    }

    #[tokio::test]
    async fn a_proxy_that_is_down_is_an_error_and_no_number() {
        let dir = tempfile::tempdir().unwrap();
        let health = LocalHealth::new(Client::new(dir.path()), dir.path().join("alerts.json"));
        let revision = Revision::new(RevisionNumber(1), "a", parse_version("1.5.0").unwrap());
        let query = HealthQuery::new(Signal::Requests, revision, Millis::from_secs(1));
        let answers = health.measure(&[query.clone(), query]).await;
        assert_eq!(answers.len(), 2);
        assert!(
            answers.into_iter().all(|answer| answer.is_err_and(|error| error.kind == ErrorKind::Transient))
        );
    }

    #[test]
    fn minutes_of_replicas_are_put_together_to_wider_bins() {
        let revision = Revision::new(RevisionNumber(1), "a", parse_version("1.5.0").unwrap());
        let bin = |requests| Totals { requests, failed: 1, sum_us: 0, buckets: vec![requests, 0] };
        let mut stats: Stats = serde_json::from_str(
            r#"{"instance":"i","coversMs":1,"boundsUs":[100],"revisions":{},"unrouted":0}"#,
        )
        .unwrap();
        stats.replicas.insert("a".into(), vec![[1, 2, 3, 4, 5].map(bin).to_vec(), vec![bin(9)], Vec::new()]);
        let over = |signal, minutes: u64| {
            let width = Millis::from_secs(60 * minutes);
            let query = HealthQuery::over(signal, revision.clone(), Span::Replicas { width, bins: 5 });
            assert!(is_counted(&query));
            let Reading::Replicas(replicas) = reading(&stats, &query) else { panic!("no replicas") };
            replicas
        };
        let counts = |failed, requests| Counted::Requests(Counts::new(failed, requests).unwrap());
        let each = [1, 2, 3, 4, 5].map(|requests| counts(1, requests)).to_vec();
        assert_eq!(over(Signal::Requests, 1), [each, vec![counts(1, 9)], Vec::new()]);
        // (two minutes that are whole, the newest last)
        assert_eq!(over(Signal::Requests, 2), [vec![counts(2, 5), counts(2, 9)], Vec::new(), Vec::new()]);
        let durations = |buckets: Vec<u64>| Counted::Durations(Histogram::new(Arc::from([100]), buckets));
        assert_eq!(over(Signal::Latency, 5), [vec![durations(vec![15, 0])], Vec::new(), Vec::new()]);
        let odd = Span::Replicas { width: Millis::from_secs(90), bins: 5 };
        assert!(!is_counted(&HealthQuery::over(Signal::Requests, revision.clone(), odd)));
    }

    /// Time stands still but for what is waited for.
    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_hangs_is_waited_for_once_however_many_windows_are_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        // It takes connections and answers none of them.
        let _hangs = crate::http::listen_unix(&dir.path().join("control.sock")).unwrap();
        let health = LocalHealth::new(Client::new(dir.path()), dir.path().join("alerts.json"));
        let revision = Revision::new(RevisionNumber(1), "a", parse_version("1.5.0").unwrap());
        let query = |seconds| HealthQuery::new(Signal::Latency, revision.clone(), Millis::from_secs(seconds));
        let begun = tokio::time::Instant::now();
        let answers = health.measure(&[1, 5, 30, 60, 300].map(query)).await;
        let took = begun.elapsed();
        assert!(took < DEADLINE + Duration::from_millis(100), "{took:?}");
        assert_eq!(answers.len(), 5);
        for answer in answers {
            let error = answer.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Transient);
            assert!(error.to_string().contains("no answer within 2000 ms"), "{error}");
        }
    }
}
