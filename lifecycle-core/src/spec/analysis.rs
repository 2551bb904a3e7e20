//! The section `analysis`.

use std::sync::Arc;

use super::error::{SpecError, quoted};
use super::field::{Field, Fields, unknown};
use crate::analysis::{AnalysisPlan, Check, EarlyPassRule, METRIC_NAMES, Metric, Sequential, Tempering};
use crate::stats::Alpha;

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
    /// Are checks that count requests judged by all that came, and not by a trailing window?
    #[must_use]
    pub const fn is_sequential(&self) -> bool {
        self.rules.sequential.is_some()
    }

    /// The rules for a plan, with these checks where the manifest has none of its own, and with those that are only told.
    #[must_use]
    pub fn plan(&self, default_checks: Vec<Check>) -> AnalysisPlan {
        let mut rules = self.rules.clone();
        rules.checks = self.checks.clone().unwrap_or(default_checks);
        let only_told = rules.dry_run.iter().filter(|check| !rules.checks.contains(check));
        let only_told: Vec<Check> = only_told.cloned().collect();
        rules.checks.extend(only_told);
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
            "dryRun",
        ];
        let fields = spec.section("analysis", &known)?;
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
        let list = |field: &Field<'_>| {
            field.list(MAX_CHECKS)?.iter().map(|item| check(item, &names)).collect::<Result<Vec<_>, _>>()
        };
        let checks = fields.read("checks", list)?;
        rules.dry_run = fields.read_or("dryRun", Vec::new(), list)?;
        rules.sequential = fields.read("sequential", |field| sequential(&field.fields(&SEQUENTIAL)?))?;
        Ok(Self { checks, rules })
    }
}

/// The fields of `sequential`.
const SEQUENTIAL: [&str; 3] = ["alpha", "eta", "earlyPass"];

fn sequential(fields: &Fields<'_>) -> Result<Sequential, SpecError> {
    let mut rules = Sequential::new(fields.read_or("alpha", Alpha::DEFAULT, probability)?);
    let eta =
        fields.read("eta", |field| field.number(0.0, 1.0, "a number above 0 and at most 1, like 0.5"))?;
    rules.temper = eta.map_or(Tempering::Measured, Tempering::Fixed);
    rules.early_pass = fields.read("earlyPass", |field| {
        let fields = field.fields(&["ratio", "beta"])?;
        let ratio =
            |field: &Field<'_>| field.number(1.0, 1000.0, "a number above 1 and at most 1000, like 2");
        let beta = fields.read_or("beta", Alpha::DEFAULT, probability)?;
        Ok(EarlyPassRule::new(fields.required("ratio", "a number above 1, like 2", ratio)?, beta))
    })?;
    Ok(rules)
}

fn probability(field: &Field<'_>) -> Result<Alpha, SpecError> {
    let accepted = "a probability above 0 and below 1, like 0.01";
    let number = field.number(0.0, 1.0_f64.next_down(), accepted)?;
    Alpha::new(number).map_err(|_| field.expected(accepted))
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
        let problem =
            format!("{}: {} (or define it in spec.analysis.queries)", quoted(name), no_metric(name, queries));
        return Err(item.error(problem));
    }
    text.parse().map_err(|error: crate::analysis::CheckError| item.error(error.to_string()))
}

/// What was meant by a name that is neither a metric nor a query. Metrics have a suffix that says whose they are,
/// queries have none.
fn no_metric(name: &str, queries: &[&str]) -> String {
    let suffix = ["_canary", "_stable"].into_iter().find(|suffix| name.ends_with(suffix)).unwrap_or_default();
    let base = &name[..name.len() - suffix.len()];
    if !suffix.is_empty() && queries.contains(&base) {
        return format!("a query has no {suffix}: write {base}");
    }
    let own = METRIC_NAMES.iter().map(|own| match Metric::named(own) {
        Metric::CriticalAlerts => (*own).to_owned(),
        _ => format!("{own}{suffix}"),
    });
    let known: Vec<String> = own.chain(queries.iter().map(|name| (*name).to_owned())).collect();
    unknown("metric", name, &known.iter().map(String::as_str).collect::<Vec<_>>())
}
