//! One question for many.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::question::Question;
use crate::answer::{Answer, Series};

/// Questions that differ only in whose series they are about, asked as one: its labels match those of any of them, and
/// everybody gets what is theirs of the answer.
///
/// # Example
/// ```
/// # use lifecycle_core::backend::{HealthQuery, Mark, Signal};
/// # use lifecycle_core::time::Millis;
/// # use lifecycle_core::version::{Revision, RevisionNumber, parse_version};
/// # use lifecycle_prom::{Metrics, Target, answer::{Answer, Series}, query::{Clock, Joined, Questions}};
/// let revision = Revision::new(RevisionNumber(1), "aaa", parse_version("1.5.0").unwrap());
/// let requests = [HealthQuery::new(Signal::Requests, revision, Millis::from_secs(60))];
/// let clock = Clock::new(Mark(1_700_000_000_250), Millis::from_secs(1));
/// let of = |agent| Questions::new(Metrics::default(), &Target::new("default", agent), &requests, clock);
/// let (edge, core) = (of("edge"), of("core"));
/// let joined = Joined::new(vec![edge.questions()[0].clone(), core.questions()[0].clone()]).unwrap();
/// assert!(joined.question().promql().contains(r#"agent=~"core|edge""#));
/// let of_edge = Series::new([("namespace", "default"), ("agent", "edge")], 7.0);
/// let parts = joined.hand_out(Answer::Vector(vec![of_edge.clone()]));
/// assert_eq!(*parts[0], Answer::Vector(vec![of_edge]));
/// assert_eq!(*parts[1], Answer::Vector(vec![]));
/// ```
#[derive(Clone, Debug)]
pub struct Joined {
    question: Question,
    parts: Vec<Question>,
}

impl Joined {
    /// Of these; `None` when there is none, or when they do not [join](Question::joins).
    #[must_use]
    pub fn new(parts: Vec<Question>) -> Option<Self> {
        let first = parts.first()?;
        if parts.len() > 1 && !parts.iter().all(|part| part.joins(first)) {
            return None;
        }
        Some(Self { question: Question::joined(&parts)?, parts })
    }

    /// The one that is asked.
    #[must_use]
    pub const fn question(&self) -> &Question {
        &self.question
    }

    /// What of the answer is whose, in the order of the questions.
    #[must_use]
    pub fn hand_out(&self, answer: Answer) -> Vec<Arc<Answer>> {
        let labels: Vec<&str> = match (&answer, self.parts.first()) {
            (Answer::Vector(_), Some(first)) if self.parts.len() > 1 => {
                first.deployment().into_iter().map(|(label, _)| label).collect()
            }
            _ => Vec::new(),
        };
        let series = match answer {
            Answer::Vector(series) if !labels.is_empty() => series,
            // nothing tells them apart but the revision, which whoever reads it looks for
            answer => {
                let answer = Arc::new(answer);
                return self.parts.iter().map(|_| Arc::clone(&answer)).collect();
            }
        };
        let mut of_deployments: BTreeMap<Vec<String>, Vec<Series>> = BTreeMap::new();
        for one in series {
            let deployment = labels.iter().map(|label| one.label(label).to_owned()).collect();
            of_deployments.entry(deployment).or_default().push(one);
        }
        let of_deployments: BTreeMap<Vec<String>, Arc<Answer>> =
            of_deployments.into_iter().map(|(of, series)| (of, Arc::new(Answer::Vector(series)))).collect();
        let nothing = Arc::new(Answer::Vector(Vec::new()));
        let part = |question: &Question| {
            let deployment: Vec<String> =
                question.deployment().into_iter().map(|(_, value)| value.to_owned()).collect();
            of_deployments.get(&deployment).unwrap_or(&nothing).clone()
        };
        self.parts.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::backend::{HealthQuery, Mark, Signal, Span};
    use lifecycle_core::time::Millis;
    use lifecycle_core::version::{Revision, RevisionNumber, parse_version};

    use super::*;
    use crate::query::{Clock, Questions};
    use crate::{Metrics, PodMetrics, Target};

    fn ask(metrics: Metrics, namespace: &str, agent: &str, hash: &str, query: (Signal, Span)) -> Question {
        let revision = Revision::new(RevisionNumber(1), hash, parse_version("1.5.0").unwrap());
        let queries = [HealthQuery::over(query.0, revision, query.1)];
        let target = Target::new(namespace, agent).with_queries(&[("q".into(), "up".into())]).unwrap();
        let clock = Clock::new(Mark(1_700_000_000_250), Millis::from_secs(1));
        Questions::new(metrics, &target, &queries, clock).questions()[0].clone()
    }

    const WINDOW: Span = Span::Window(Millis::from_secs(60));

    #[test]
    fn questions_join_that_differ_only_in_whose_series_they_are_about() {
        let of =
            |agent: &str, signal: Signal, span| ask(Metrics::default(), "n", agent, "aaa", (signal, span));
        let a = of("a", Signal::Requests, WINDOW);
        let since = |mark| Span::Since(Some(Mark(mark)));
        let named = || Signal::Named("q".into());
        let bins = Span::Replicas { width: Millis::from_secs(60), bins: 5 };
        for (one, other, joins) in [
            (&a, of("b", Signal::Requests, WINDOW), true),
            (&a, of("b", Signal::Latency, WINDOW), false),
            (&a, of("b", Signal::Requests, Span::Window(Millis::from_secs(61))), false),
            (&a, of("b", Signal::Requests, since(1_699_999_990_000)), false),
            (
                &of("a", Signal::Requests, since(1_699_999_990_000)),
                of("b", Signal::Requests, since(1_699_999_990_000)),
                true,
            ),
            (
                &of("a", Signal::Requests, since(1_699_999_990_000)),
                of("b", Signal::Requests, since(1_699_999_980_000)),
                false,
            ),
            (
                &of("a", Signal::Requests, Span::Since(None)),
                of("b", Signal::Requests, Span::Since(None)),
                true,
            ),
            (&of("a", Signal::CriticalAlerts, WINDOW), of("b", Signal::CriticalAlerts, WINDOW), true),
            (&of("a", named(), WINDOW), of("b", named(), WINDOW), false),
            (&of("a", Signal::Requests, bins), of("b", Signal::Requests, bins), false),
        ] {
            assert_eq!(one.joins(&other), joins, "{one:?} {other:?}");
            assert_eq!(Joined::new(vec![one.clone(), other]).is_some(), joins);
        }
        let pods = Metrics::default().pods(PodMetrics::default());
        let of_pods = |agent, signal| ask(pods.clone(), "n", agent, "aaa", (signal, WINDOW));
        let restarts = of_pods("a", Signal::Restarts);
        assert!(restarts.joins(&of_pods("b", Signal::Restarts)));
        assert!(!restarts.joins(&of_pods("b", Signal::Saturation)));
        assert!(Joined::new(vec![]).is_none());
        assert!(Joined::new(vec![of("a", named(), WINDOW)]).is_some(), "alone it is asked as it is");
    }

    #[test]
    fn everybody_gets_what_is_theirs() {
        let one = |namespace: &str, agent: &str, hash: &str| {
            ask(Metrics::default(), namespace, agent, hash, (Signal::Requests, WINDOW))
        };
        let parts =
            vec![one("n", "a.b", "aaa"), one("n", "c", "bbb"), one("m", "c", "ccc"), one("n", "a.b", "ddd")];
        let joined = Joined::new(parts).unwrap();
        let promql = joined.question().promql();
        let scope = r#"namespace=~"m|n",agent=~"a\\.b|c",revision=~"aaa|bbb|ccc|ddd""#;
        assert!(promql.contains(scope), "{promql}");
        let series = |namespace: &str, agent: &str, value| {
            Series::new([("namespace", namespace), ("agent", agent), ("revision", "x")], value)
        };
        let all = vec![
            series("n", "c", 1.0),
            series("n", "a.b", 2.0),
            series("m", "a.b", 3.0),
            series("n", "c", 4.0),
        ];
        let handed: Vec<Answer> =
            joined.hand_out(Answer::Vector(all)).iter().map(|part| (**part).clone()).collect();
        let vector = |series: &[Series]| Answer::Vector(series.to_vec());
        let of_ab = vector(&[series("n", "a.b", 2.0)]);
        let of_c = vector(&[series("n", "c", 1.0), series("n", "c", 4.0)]);
        // nobody has asked for the one of m, which matches by chance
        assert_eq!(handed, [of_ab.clone(), of_c, vector(&[]), of_ab]);
    }

    #[test]
    fn the_pods_of_everybody_are_told_apart_by_their_own_labels() {
        let pods = PodMetrics::default().labels("pods", "a", "r").unwrap();
        let one = |agent| {
            let metrics = Metrics::istio().pods(pods.clone());
            ask(metrics, "n", agent, "aaa", (Signal::Saturation, WINDOW))
        };
        let joined = Joined::new(vec![one("x"), one("y")]).unwrap();
        let promql = joined.question().promql();
        assert!(promql.contains(r#"pods{namespace="n",a=~"x|y",r="aaa"}"#), "{promql}");
        let series =
            ["x", "y"].map(|agent| Series::new([("namespace", "n"), ("a", agent), ("r", "aaa")], 1.0));
        let handed = joined.hand_out(Answer::Vector(series.to_vec()));
        let vectors = series.map(|one| Arc::new(Answer::Vector(vec![one])));
        assert_eq!(handed, vectors);
    }

    #[test]
    fn where_only_revisions_are_told_apart_everybody_gets_everything() {
        let one = |agent: &str| ask(Metrics::envoy(), "n", agent, "aaa", (Signal::Requests, WINDOW));
        let joined = Joined::new(vec![one("a"), one("b")]).unwrap();
        assert!(joined.question().promql().contains(r#"envoy_cluster_name=~"n/a-aaa|n/b-aaa""#));
        let all = Answer::Vector(vec![Series::new([("envoy_cluster_name", "n/a-aaa")], 1.0)]);
        let handed = joined.hand_out(all.clone());
        assert!(handed.len() == 2 && handed.iter().all(|part| **part == all));
        // so it is with what is no vector
        assert!(joined.hand_out(Answer::Scalar(1.0)).iter().all(|part| **part == Answer::Scalar(1.0)));
    }
}
