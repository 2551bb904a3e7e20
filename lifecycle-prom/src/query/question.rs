//! One question to Prometheus.

use std::sync::Arc;

use lifecycle_core::backend::Mark;
use lifecycle_core::time::Millis;

use super::pods::Pods;
use super::scope::Scope;
use super::selector::seconds;
use super::{alertmanager, native, replicas, since, window};
use crate::metrics::{Metrics, PodMetrics};

/// One question to Prometheus: PromQL, and the moment it is about. Or one to Alertmanager, for the alerts that fire.
///
/// # Example
/// ```
/// # use lifecycle_core::backend::{HealthQuery, Mark, Signal};
/// # use lifecycle_core::time::Millis;
/// # use lifecycle_core::version::{Revision, RevisionNumber, parse_version};
/// # use lifecycle_prom::{Metrics, Target, query::{Clock, Questions}};
/// let revision = Revision::new(RevisionNumber(1), "aaa", parse_version("1.5.0").unwrap());
/// let alerts = [HealthQuery::new(Signal::CriticalAlerts, revision, Millis::from_secs(60))];
/// let clock = Clock::new(Mark(1_700_000_000_250), Millis::from_secs(1));
/// let questions = Questions::new(Metrics::default(), &Target::new("default", "edge"), &alerts, clock);
/// let [question] = questions.questions() else { panic!() };
/// assert_eq!(question.path(), "api/v1/query");
/// let parameters = [("query", question.promql()), ("time", "1699999999.000".to_owned())];
/// assert_eq!(question.parameters(), parameters);
/// ```
#[derive(Clone, Debug)]
pub struct Question {
    metrics: Arc<Metrics>,
    about: About,
    over: Over,
    until: Mark,
    scope: Scope,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Server {
    /// Prometheus, by `POST` of a form.
    Prometheus,
    /// Alertmanager, by `GET` with a query.
    Alertmanager,
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    Requests,
    Latency,
    Alerts,
    /// By the metrics with these names; so for restarts.
    Saturation(Arc<PodMetrics>),
    Restarts(Arc<PodMetrics>),
    /// PromQL of the user's own.
    Text(String),
}

/// The time that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// This long.
    Window(Millis),
    /// Since this mark, where nothing but counters has changed.
    Plainly(Mark),
    /// Since this mark, whatever has happened.
    Since(Mark),
    /// So many bins of this width.
    Bins(Millis, u32),
    /// None yet: only what counts from here on begin with.
    Nothing,
}

impl Over {
    /// How long it is, where it ends at this mark.
    fn length(self, until: Mark) -> Millis {
        match self {
            Self::Window(window) => window,
            Self::Plainly(from) | Self::Since(from) => {
                Millis(u64::try_from(until.0.saturating_sub(from.0)).unwrap_or(0))
            }
            Self::Bins(width, bins) => Millis(width.get().saturating_mul(u64::from(bins))),
            Self::Nothing => Millis::ZERO,
        }
    }
}

impl Question {
    /// A question about this up to this moment.
    pub(super) fn new(metrics: &Arc<Metrics>, about: About, over: Over, until: Mark, scope: Scope) -> Self {
        let metrics = Arc::clone(metrics);
        match about == About::Alerts && metrics.alertmanager {
            // whoever asks and whenever: it is the same question
            true => Self { metrics, about, over, until: Mark::default(), scope: Scope::default() },
            false => Self { metrics, about, over, until, scope },
        }
    }

    /// Who is asked.
    #[must_use]
    pub fn server(&self) -> Server {
        match self.about == About::Alerts && self.metrics.alertmanager {
            true => Server::Alertmanager,
            false => Server::Prometheus,
        }
    }

    /// The PromQL; none for Alertmanager.
    #[must_use]
    pub fn promql(&self) -> String {
        let Self { metrics, about, over, until, scope } = self;
        match (about, *over) {
            (About::Requests, Over::Window(window)) => window::requests(metrics, scope, window),
            (About::Requests, Over::Plainly(from)) => since::plain_requests(metrics, scope, from, *until),
            (About::Requests, Over::Since(from)) => since::requests(metrics, scope, from, *until),
            (About::Requests, Over::Bins(width, _)) => replicas::requests(metrics, scope, width),
            (About::Requests, Over::Nothing) => since::begin_requests(metrics, scope),
            (About::Latency, over) if metrics.native => match over {
                Over::Window(window) => native::window(metrics, scope, window),
                Over::Plainly(from) | Over::Since(from) => native::since(metrics, scope, from, *until),
                Over::Bins(..) | Over::Nothing => native::begin(metrics, scope),
            },
            (About::Latency, Over::Window(window)) => window::latency(metrics, scope, window),
            (About::Latency, Over::Plainly(from)) => since::plain_latency(metrics, scope, from, *until),
            (About::Latency, Over::Since(from)) => since::latency(metrics, scope, from, *until),
            (About::Latency, Over::Bins(width, _)) => replicas::latency(metrics, scope, width),
            (About::Latency, Over::Nothing) => since::begin_latency(metrics, scope),
            (About::Alerts, _) if metrics.alertmanager => String::new(),
            (About::Alerts, _) => window::alerts(metrics, scope),
            (About::Saturation(names), over) => {
                Pods::new(metrics, names, scope, over.length(*until), *until).saturation()
            }
            (About::Restarts(names), over) => {
                Pods::new(metrics, names, scope, over.length(*until), *until).restarts()
            }
            (About::Text(text), _) => text.clone(),
        }
    }

    /// The path of the API that answers it.
    #[must_use]
    pub fn path(&self) -> &'static str {
        match (self.server(), self.over) {
            (Server::Alertmanager, _) => alertmanager::PATH,
            (_, Over::Bins(..)) => "api/v1/query_range",
            _ => "api/v1/query",
        }
    }

    /// What is to be sent there.
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        if self.server() == Server::Alertmanager {
            return alertmanager::parameters(&self.metrics);
        }
        let query = ("query", self.promql());
        match self.over {
            Over::Bins(width, bins) => {
                let width_ms = i64::try_from(width.get()).unwrap_or(i64::MAX);
                let back = width_ms.saturating_mul(i64::from(bins) - 1);
                let start = Mark(self.until.0.saturating_sub(back));
                vec![
                    query,
                    ("start", seconds(start)),
                    ("end", seconds(self.until)),
                    ("step", seconds(Mark(width_ms))),
                ]
            }
            _ => vec![query, ("time", seconds(self.until))],
        }
    }

    /// The question about the same time and series whatever has happened, where this one asks for a plain difference.
    pub(super) fn in_full(&self) -> Option<Self> {
        match self.over {
            Over::Plainly(from) => Some(Self { over: Over::Since(from), ..self.clone() }),
            _ => None,
        }
    }

    /// Can it and the other be asked as one? Bins are many as it is, and PromQL of the user's own is what it is.
    #[must_use]
    pub fn joins(&self, other: &Self) -> bool {
        let joinable = !matches!((&self.about, self.over), (About::Text(_), _) | (_, Over::Bins(..)));
        let alike = (&self.about, self.over, self.until) == (&other.about, other.over, other.until);
        joinable && alike
    }

    /// The one that asks for what all of these ask for, which [join](Self::joins); `None` of none.
    pub(super) fn joined<'q>(questions: impl IntoIterator<Item = &'q Self>) -> Option<Self> {
        let mut questions = questions.into_iter();
        let mut joined = questions.next()?.clone();
        for question in questions {
            joined.scope.add(&question.scope);
        }
        Some(joined)
    }

    /// The labels that tell deployments apart in its answer, and what they say of those that it is about.
    pub(super) fn deployment(&self) -> Vec<(&str, &str)> {
        let labels = match &self.about {
            About::Alerts => self.metrics.of_alerts(),
            About::Saturation(names) | About::Restarts(names) => &names.of,
            About::Requests | About::Latency | About::Text(_) => &self.metrics.series,
        };
        self.scope.deployment(labels)
    }

    /// The moment it is about.
    pub(super) const fn until(&self) -> Mark {
        self.until
    }

    /// The time it is about.
    pub(super) const fn over(&self) -> Over {
        self.over
    }
}

impl PartialEq for Question {
    /// (All questions of one source are about the same metrics.)
    fn eq(&self, other: &Self) -> bool {
        let parts = |question: &Self| (question.over, question.until);
        parts(self) == parts(other) && self.about == other.about && self.scope == other.scope
    }
}

impl Eq for Question {}
