//! One question to Prometheus.

use lifecycle_core::backend::Mark;
use lifecycle_core::time::Millis;

use super::scope::Scope;
use super::selector::seconds;
use super::{alertmanager, native, replicas, since, window};
use crate::metrics::Metrics;

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
/// let questions = Questions::new(&Metrics::default(), &Target::new("default", "edge"), &alerts, clock);
/// let [question] = questions.questions() else { panic!() };
/// assert_eq!(question.path(), "api/v1/query");
/// let parameters = [("query", question.promql().to_owned()), ("time", "1699999999.000".to_owned())];
/// assert_eq!(question.parameters(), parameters);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    about: About,
    over: Over,
    until: Mark,
    scope: Scope,
    promql: String,
    server: Server,
    parameters: Vec<(&'static str, String)>,
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
    /// PromQL of the user's own.
    Text(String),
}

/// The time that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// This long.
    Window(Millis),
    /// Since this mark.
    Since(Mark),
    /// So many bins of this width.
    Bins(Millis, u32),
    /// None yet: only what counts from here on begin with.
    Nothing,
}

impl Question {
    /// A question about this up to this moment.
    pub(super) fn new(metrics: &Metrics, about: About, over: Over, until: Mark, scope: Scope) -> Self {
        if about == About::Alerts && metrics.alertmanager {
            let (until, scope, promql) = (Mark::default(), Scope::default(), String::new());
            let (server, parameters) = (Server::Alertmanager, alertmanager::parameters(metrics));
            return Self { about, over, until, scope, promql, server, parameters };
        }
        let promql = match &about {
            About::Requests => match over {
                Over::Window(window) => window::requests(metrics, &scope, window),
                Over::Since(from) => since::requests(metrics, &scope, from, until),
                Over::Bins(width, _) => replicas::requests(metrics, &scope, width),
                Over::Nothing => since::begin_requests(metrics, &scope),
            },
            About::Latency if metrics.native => match over {
                Over::Window(window) => native::window(metrics, &scope, window),
                Over::Since(from) => native::since(metrics, &scope, from, until),
                Over::Bins(..) | Over::Nothing => native::begin(metrics, &scope),
            },
            About::Latency => match over {
                Over::Window(window) => window::latency(metrics, &scope, window),
                Over::Since(from) => since::latency(metrics, &scope, from, until),
                Over::Bins(width, _) => replicas::latency(metrics, &scope, width),
                Over::Nothing => since::begin_latency(metrics, &scope),
            },
            About::Alerts => window::alerts(metrics, &scope),
            About::Text(text) => text.clone(),
        };
        let parameters = parameters(&promql, over, until);
        Self { about, over, until, scope, promql, server: Server::Prometheus, parameters }
    }

    /// Who is asked.
    #[must_use]
    pub const fn server(&self) -> Server {
        self.server
    }

    /// The PromQL; none for Alertmanager.
    #[must_use]
    pub fn promql(&self) -> &str {
        &self.promql
    }

    /// The path of the API that answers it.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        match (self.server, self.over) {
            (Server::Alertmanager, _) => alertmanager::PATH,
            (_, Over::Bins(..)) => "api/v1/query_range",
            (_, Over::Window(_) | Over::Since(_) | Over::Nothing) => "api/v1/query",
        }
    }

    /// What is to be sent there.
    #[must_use]
    pub fn parameters(&self) -> &[(&'static str, String)] {
        &self.parameters
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

fn parameters(promql: &str, over: Over, until: Mark) -> Vec<(&'static str, String)> {
    let query = ("query", promql.to_owned());
    match over {
        Over::Bins(width, bins) => {
            let width_ms = i64::try_from(width.get()).unwrap_or(i64::MAX);
            let back = width_ms.saturating_mul(i64::from(bins) - 1);
            let start = Mark(until.0.saturating_sub(back));
            vec![query, ("start", seconds(start)), ("end", seconds(until)), ("step", seconds(Mark(width_ms)))]
        }
        Over::Window(_) | Over::Since(_) | Over::Nothing => vec![query, ("time", seconds(until))],
    }
}
