//! What became of the requests.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The timeline is cut into pieces of this length.
const WINDOW: Duration = Duration::from_millis(100);
/// So many losses are kept with all that is known of them; the counts have all.
const LOSSES: usize = 100;

/// How requests to one pod, or to several, ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Answered, with a status below 500.
    pub ok: u64,
    /// Answered with a status from 500 on.
    pub failed: u64,
    /// Not answered: no connection, a connection that broke, no answer in time.
    pub lost: u64,
}

impl Tally {
    /// All that were answered.
    pub fn answers(&self) -> u64 {
        self.ok + self.failed
    }

    /// All that were sent.
    pub fn sent(&self) -> u64 {
        self.answers() + self.lost
    }

    fn add(&mut self, other: Self) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.lost += other.lost;
    }
}

/// Pods that are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Who<'a> {
    /// All of them.
    All,
    /// This one.
    Pod(&'a str),
    /// Those whose label gives this revision.
    Revision(&'a str),
    /// Those that answered with this version.
    Version(&'a str),
}

/// One pod, as the requests saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PodSeen {
    /// What its label says; empty when it has none.
    pub revision: String,
    /// What it answers in `x-app-version`; `None` until it has answered.
    pub version: Option<String>,
    /// How the requests to it ended.
    pub tally: Tally,
    /// When it first answered, since the start.
    pub first_answer: Option<Duration>,
    /// When it last answered.
    pub last_answer: Option<Duration>,
}

/// A request that got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// When that was clear, since the start.
    pub at: Duration,
    /// Which pod it was sent to.
    pub pod: Arc<str>,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// What happened.
    pub why: String,
}

/// 100 ms of the timeline. A request belongs where its outcome was known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Window {
    /// By pod.
    pub pods: BTreeMap<Arc<str>, Tally>,
    /// Requests that no endpoint was there for.
    pub refused: u64,
}

/// All that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// How long it went on.
    pub lasted: Duration,
    /// Requests that no endpoint was there for.
    pub refused: u64,
    /// Every pod that was an endpoint, by name.
    pub pods: BTreeMap<Arc<str>, PodSeen>,
    /// The first 100 requests that were lost.
    pub losses: Vec<Loss>,
    /// The timeline in pieces of 100 ms.
    pub windows: Vec<Window>,
}

/// How one request ended.
#[derive(Debug)]
pub(super) enum Ended {
    Answered { status: u16, version: Option<String> },
    Lost { method: &'static str, why: String },
}

impl LoadReport {
    /// How the requests to these pods ended.
    pub fn tally(&self, who: Who<'_>) -> Tally {
        let mut sum = Tally::default();
        for (_, pod) in self.pods.iter().filter(|(name, pod)| is(name, pod, who)) {
            sum.add(pod.tally);
        }
        sum
    }

    /// Requests that were sent to a pod and not answered.
    pub fn lost(&self) -> u64 {
        self.tally(Who::All).lost
    }

    /// When one of these pods first answered, since the start.
    pub fn first_answer(&self, who: Who<'_>) -> Option<Duration> {
        self.pods
            .iter()
            .filter(|(name, pod)| is(name, pod, who))
            .filter_map(|(_, pod)| pod.first_answer)
            .min()
    }

    /// When one of these pods last answered, since the start.
    pub fn last_answer(&self, who: Who<'_>) -> Option<Duration> {
        self.pods.iter().filter(|(name, pod)| is(name, pod, who)).filter_map(|(_, pod)| pod.last_answer).max()
    }

    /// How the requests to these pods ended in this part of the time, to 100 ms.
    pub fn tally_in(&self, who: Who<'_>, time: Range<Duration>) -> Tally {
        let mut sum = Tally::default();
        for window in self.windows_in(time) {
            for (name, tally) in &window.pods {
                if self.pods.get(name).is_some_and(|pod| is(name, pod, who)) {
                    sum.add(*tally);
                }
            }
        }
        sum
    }

    /// Requests that no endpoint was there for in this part of the time, to 100 ms.
    pub fn refused_in(&self, time: Range<Duration>) -> u64 {
        self.windows_in(time).iter().map(|window| window.refused).sum()
    }

    /// The share of all answers of this part of the time that these pods gave, from 0 to 1; `None` without answers.
    pub fn share_in(&self, who: Who<'_>, time: Range<Duration>) -> Option<f64> {
        let all = self.tally_in(Who::All, time.clone()).answers();
        (all > 0).then(|| self.tally_in(who, time).answers() as f64 / all as f64)
    }

    /// The share of all answers of the last moments that these pods gave, from 0 to 1; `None` without answers.
    pub fn share_of_last(&self, who: Who<'_>, span: Duration) -> Option<f64> {
        self.share_in(who, self.lasted.saturating_sub(span)..self.lasted + WINDOW)
    }

    /// Those that have any part of this time.
    fn windows_in(&self, time: Range<Duration>) -> &[Window] {
        let index = |nanos: u128| usize::try_from(nanos / WINDOW.as_nanos()).unwrap_or(usize::MAX);
        let end = index(time.end.as_nanos() + WINDOW.as_nanos() - 1).min(self.windows.len());
        self.windows.get(index(time.start.as_nanos())..end).unwrap_or_default()
    }

    pub(super) fn knows(&self, pod: &str) -> bool {
        self.pods.get(pod).is_some_and(|pod| !pod.revision.is_empty())
    }

    pub(super) fn pod(&mut self, name: &Arc<str>) -> &mut PodSeen {
        self.pods.entry(Arc::clone(name)).or_default()
    }

    pub(super) fn refuse(&mut self, at: Duration) {
        self.refused += 1;
        self.window(at).refused += 1;
    }

    pub(super) fn record(&mut self, at: Duration, name: &Arc<str>, ended: Ended) {
        let tally = match ended {
            Ended::Answered { status, version } => {
                let pod = self.pod(name);
                pod.first_answer.get_or_insert(at);
                pod.last_answer = Some(at);
                pod.version = version.or(pod.version.take());
                if status < 500 {
                    Tally { ok: 1, ..Tally::default() }
                } else {
                    Tally { failed: 1, ..Tally::default() }
                }
            }
            Ended::Lost { method, why } => {
                if self.losses.len() < LOSSES {
                    self.losses.push(Loss { at, pod: Arc::clone(name), method, why });
                }
                Tally { lost: 1, ..Tally::default() }
            }
        };
        self.pod(name).tally.add(tally);
        self.window(at).pods.entry(Arc::clone(name)).or_default().add(tally);
    }

    fn window(&mut self, at: Duration) -> &mut Window {
        let index = (at.as_millis() / WINDOW.as_millis()) as usize;
        if self.windows.len() <= index {
            self.windows.resize_with(index + 1, Window::default);
        }
        &mut self.windows[index]
    }
}

fn is(name: &str, pod: &PodSeen, who: Who<'_>) -> bool {
    match who {
        Who::All => true,
        Who::Pod(wanted) => name == wanted,
        Who::Revision(wanted) => pod.revision == wanted,
        Who::Version(wanted) => pod.version.as_deref() == Some(wanted),
    }
}

/// A few lines for whoever reads a failed test.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { ok, failed, lost } = self.tally(Who::All);
        let (seconds, refused) = (self.lasted.as_secs_f64(), self.refused);
        write!(f, "{seconds:.1} s: {ok} ok, {failed} failed, {lost} lost, {refused} refused")?;
        for (name, PodSeen { revision, version, tally, first_answer, last_answer }) in &self.pods {
            let version = version.as_deref().unwrap_or("?");
            let Tally { ok, failed, lost } = tally;
            write!(f, "\n  {name} ({version}, revision {revision}): {ok} ok, {failed} failed, {lost} lost")?;
            if let (Some(first), Some(last)) = (first_answer, last_answer) {
                write!(f, ", answered from {:.1} to {:.1} s", first.as_secs_f64(), last.as_secs_f64())?;
            }
        }
        for Loss { at, pod, method, why } in self.losses.iter().take(10) {
            write!(f, "\n  lost at {:.2} s: {method} to {pod}: {why}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, version: &str) -> Ended {
        Ended::Answered { status, version: Some(version.to_owned()) }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn report() -> LoadReport {
        let mut report = LoadReport::default();
        let (old, new): (Arc<str>, Arc<str>) = ("old-1".into(), "new-1".into());
        report.pod(&old).revision = "old".to_owned();
        report.pod(&new).revision = "new".to_owned();
        for at in [10, 20, 110] {
            report.record(ms(at), &old, answered(200, "1.4.0"));
        }
        report.record(ms(150), &new, answered(200, "1.5.0"));
        report.record(ms(250), &new, answered(503, "1.5.0"));
        report.record(ms(350), &new, Ended::Lost { method: "GET", why: "refused".to_owned() });
        report.refuse(ms(360));
        report.lasted = ms(400);
        report
    }

    #[test]
    fn answers_failures_losses_and_refusals_are_told_apart() {
        let report = report();
        assert_eq!(report.tally(Who::All), Tally { ok: 4, failed: 1, lost: 1 });
        assert_eq!(report.tally(Who::Revision("new")), Tally { ok: 1, failed: 1, lost: 1 });
        assert_eq!(report.tally(Who::Version("1.4.0")), report.tally(Who::Pod("old-1")));
        assert_eq!((report.refused, report.lost(), report.losses.len()), (1, 1, 1));
    }

    #[test]
    fn the_timeline_says_who_answered_when() {
        let report = report();
        assert_eq!(report.first_answer(Who::Version("1.5.0")), Some(ms(150)));
        assert_eq!(report.last_answer(Who::Version("1.5.0")), Some(ms(250)));
        assert_eq!(report.first_answer(Who::Version("2.0.0")), None);
        assert_eq!(report.share_in(Who::Revision("new"), ms(0)..ms(100)), Some(0.0));
        assert_eq!(report.share_in(Who::Revision("new"), ms(100)..ms(200)), Some(0.5));
        assert_eq!(report.share_of_last(Who::Revision("new"), ms(200)), Some(1.0));
        assert_eq!(report.share_in(Who::Revision("new"), ms(300)..ms(400)), None);
        assert_eq!(report.share_in(Who::Revision("new"), ms(900)..ms(1000)), None);
        assert_eq!((report.refused_in(ms(300)..ms(400)), report.refused_in(ms(0)..ms(300))), (1, 0));
    }
}
