//! The section `analysis`.

use std::sync::Arc;

use super::error::{SpecError, quoted};
use super::field::{Field, Fields, unknown};
use crate::analysis::{AnalysisPlan, Check, METRIC_NAMES, Metric};

/// How many checks, and how many queries, a manifest may have.
const MAX_CHECKS: usize = 32;

/// The longest query.
const MAX_QUERY: usize = 8192;

/// Name and text.
type Query = (Arc<str>, Arc<str>);

/// `analysis`: how health is judged.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AnalysisSpec {
    /// The checks as written: `None` is the strategy's own, an empty list is none.
    pub checks: Option<Vec<Check>>,
    rules: AnalysisPlan,
}

impl AnalysisSpec {
    /// The rules for a plan, with these checks where the manifest has none of its own.
    #[must_use]
    pub fn plan(&self, default_checks: Vec<Check>) -> AnalysisPlan {
        let mut rules = self.rules.clone();
        rules.checks = self.checks.clone().unwrap_or(default_checks);
        rules
    }

    pub(super) fn read(spec: &Fields<'_>) -> Result<Self, SpecError> {
        let known = [
            "interval",
            "window",
            "minRequests",
            "checks",
            "failureLimit",
            "inconclusiveLimit",
            "consecutiveErrorLimit",
            "consecutiveSuccessLimit",
            "initialDelay",
            "queries",
            "sequential",
        ];
        let fields = spec.section("analysis", &known)?;
        if let Some(sequential) = fields.get("sequential") {
            return Err(
                sequential.error("that judge does not exist yet: leave the field away to use thresholds")
            );
        }
        let limit =
            |name: &str, default: u32| fields.read_or(name, default, |field| field.whole(0..=1_000_000));
        let mut rules = AnalysisPlan::default();
        rules.interval = fields.read_or("interval", rules.interval, Field::time_span)?;
        rules.window = fields.read_or("window", rules.window, Field::time_span)?;
        if rules.window < rules.interval {
            let (window, interval) = (rules.window, rules.interval);
            let problem = "a look would not see all that came in since the one before";
            return Err(fields.error_at(
                "window",
                format!(
                    "{window} is shorter than interval ({interval}), and {problem}: write at least {interval}"
                ),
            ));
        }
        rules.initial_delay = fields.read_or("initialDelay", rules.initial_delay, Field::duration)?;
        let min_requests = fields.read("minRequests", |field| field.whole(0..=1_000_000_000))?;
        rules.min_requests = min_requests.map_or(rules.min_requests, u64::from);
        rules.failure_limit = limit("failureLimit", rules.failure_limit)?;
        rules.inconclusive_limit = limit("inconclusiveLimit", rules.inconclusive_limit)?;
        rules.consecutive_error_limit = limit("consecutiveErrorLimit", rules.consecutive_error_limit)?;
        rules.consecutive_success_limit = limit("consecutiveSuccessLimit", rules.consecutive_success_limit)?;
        rules.queries = fields.read_or("queries", Vec::new(), queries)?;
        let names: Vec<&str> = rules.queries.iter().map(|(name, _)| &**name).collect();
        let checks = fields.read("checks", |field| {
            field.list(MAX_CHECKS)?.iter().map(|item| check(item, &names)).collect::<Result<Vec<_>, _>>()
        })?;
        Ok(Self { checks, rules })
    }
}

fn queries(field: &Field<'_>) -> Result<Vec<Query>, SpecError> {
    let word = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.len() <= 63
    };
    let mut queries = Vec::new();
    for (name, entry) in field.entries(MAX_CHECKS)? {
        if !word(name) {
            let problem = "is not a name for a query: write letters, digits and _, at most 63, not beginning with a digit";
            return Err(entry.error(problem));
        }
        if !matches!(Metric::named(name), Metric::Named(_)) {
            return Err(entry.error("is the name of a metric that is there already: choose another one"));
        }
        let text = entry.text()?;
        if text.len() > MAX_QUERY {
            return Err(entry.error(format!("{} bytes of query are more than {MAX_QUERY}", text.len())));
        }
        queries.push((name.into(), text.into()));
    }
    Ok(queries)
}

fn check(item: &Field<'_>, queries: &[&str]) -> Result<Check, SpecError> {
    let text = match item.value().as_str() {
        Some(text) => text,
        None => return Err(item.error("not text: write a check like \"error_rate < 1%\"")),
    };
    // A misspelt metric comes first: its unit would be judged as that of a query.
    let name = text.trim_start();
    let name = &name[..name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len())];
    let is_query =
        name.starts_with(|c: char| !c.is_ascii_digit()) && matches!(Metric::named(name), Metric::Named(_));
    if is_query && !queries.contains(&name) {
        let known: Vec<&str> = METRIC_NAMES.iter().chain(queries).copied().collect();
        let problem = unknown("metric", name, &known);
        return Err(
            item.error(format!("{}: {problem} (or define it in spec.analysis.queries)", quoted(name)))
        );
    }
    text.parse().map_err(|error: crate::analysis::CheckError| item.error(error.to_string()))
}
