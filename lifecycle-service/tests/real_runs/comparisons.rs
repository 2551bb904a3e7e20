//! Checks that compare: with stable at the same time, and with a baseline from before the switch. The
//! events say which numbers were compared, and these must give the verdict.

use serde_json::Value;

use super::load::Counts;
use super::site::{Ended, Site};
use super::{assert_ended, assert_nothing_lost, assert_only, rollout};

const WITH_STABLE: &str = "latency_p95_canary < 3x stable";
const WITH_BASELINE: &str = "p95_latency <= 2x baseline";
/// `minRequests` of the manifests.
const ENOUGH: u64 = 30;

/// One measurement of a check that compares latencies, as its event tells it.
#[derive(Debug)]
struct Compared {
    verdict: String,
    /// Milliseconds.
    canary: f64,
    /// Times what it was compared with, in milliseconds.
    factor: f64,
    against: f64,
    requests: u64,
}

/// Every measurement of this check that was told, in order.
fn measured(ended: &Ended, check: &str) -> Vec<Compared> {
    let told = ended.lines.iter().filter(|line| line["name"] == "Measured");
    told.filter_map(|line| {
        let numbers = text(line, "message").strip_prefix(check)?.strip_prefix(": ")?;
        Some(compared(text(line, "reason"), numbers).unwrap_or_else(|| panic!("no numbers in {line}")))
    })
    .collect()
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_default()
}

/// `latency_p95_canary 251.2ms is not < 3x stable's 41.3ms (52 requests)`
fn compared(verdict: &str, numbers: &str) -> Option<Compared> {
    let words: Vec<&str> = numbers.split_whitespace().collect();
    let canary = milliseconds(words.get(1)?)?;
    let factor = words.iter().find_map(|word| word.strip_suffix('x'))?.parse().ok()?;
    let against =
        words.windows(2).find_map(|pair| milliseconds(pair[1]).filter(|_| pair[0].ends_with("'s")))?;
    let requests = words.iter().find_map(|word| word.strip_prefix('('))?.parse().ok()?;
    Some(Compared { verdict: verdict.to_owned(), canary, factor, against, requests })
}

fn milliseconds(word: &str) -> Option<f64> {
    match word.strip_suffix("ms") {
        Some(number) => number.parse().ok(),
        None => word.strip_suffix('s')?.parse::<f64>().ok().map(|seconds| seconds * 1000.0),
    }
}

/// The check was measured, on enough requests of a version that answers no faster than this, and the
/// last of its verdicts is this one. Answers with its measurements.
fn assert_compared(ended: &Ended, check: &str, stable_at_least: f64, verdict: &str) -> Vec<Compared> {
    let all = measured(ended, check);
    println!("{check}: {all:?}");
    for one in &all {
        let fits = one.verdict == if one.canary <= one.factor * one.against { "Pass" } else { "Fail" };
        assert!(fits && one.requests >= ENOUGH && one.against >= stable_at_least, "{one:?}");
    }
    assert_eq!(all.last().map(|one| one.verdict.as_str()), Some(verdict), "{check} in {:#?}", ended.lines);
    all
}

/// A canary as fast as stable was compared with it in each of the three steps, in the last one with
/// what stable measured before it lost its traffic.
pub(crate) fn assert_as_fast_as_stable(ended: &Ended) {
    assert!(assert_compared(ended, WITH_STABLE, 40.0, "Pass").len() >= 3, "{:#?}", ended.lines);
}

/// Rolled back because this check failed, and said so.
fn assert_back_by(ended: &Ended, check: &str) {
    let (metric, _) = check.split_once(' ').expect("a check");
    let why = text(&ended.outcome, "reason");
    assert!(why.starts_with(metric) && why.contains("is not"), "{why}");
}

async fn run(before: &str, manifest: &str) -> (Ended, Counts, Counts) {
    let site = Site::new();
    let (before, manifest) = (Site::example(before), Site::example(manifest));
    let result = rollout(&site, &before, &manifest, None).await;
    assert_nothing_lost(&result.2);
    site.down();
    result
}

#[tokio::test]
async fn a_canary_that_only_the_comparison_with_stable_finds_slow_is_rolled_back() {
    let (ended, at_end, counts) = run("canary-1.4.0", "canary-1.5.0-slow").await;
    assert_ended(&ended, 1, "rolledBack", "1.4.0");
    assert_compared(&ended, WITH_STABLE, 40.0, "Fail");
    assert_back_by(&ended, WITH_STABLE);
    let absolute = |line: &&Value| text(line, "message").starts_with("p95_latency < 500ms");
    let mut absolute = ended.lines.iter().filter(absolute).map(|line| text(line, "reason"));
    assert!(absolute.any(|verdict| verdict == "Pass"), "it was never within the absolute limit");
    assert_only("1.4.0", &at_end, &counts);
}

#[tokio::test]
async fn a_green_slower_than_blue_was_is_switched_back() {
    let (ended, at_end, counts) = run("blue-green-1.4.0", "blue-green-1.5.0-slow").await;
    assert_ended(&ended, 1, "rolledBack", "1.4.0");
    assert_compared(&ended, WITH_BASELINE, 100.0, "Fail");
    assert_back_by(&ended, WITH_BASELINE);
    assert_only("1.4.0", &at_end, &counts);
}

#[tokio::test]
async fn a_green_as_fast_as_blue_was_stays() {
    let site = Site::new();
    let soon = [("scaleDownAfter: 15s, keepFor: 1m", "scaleDownAfter: 2s, keepFor: 2s")];
    let manifest = site.edited("blue-green-1.5.0", &soon);
    let (ended, at_end, counts) = rollout(&site, &Site::example("blue-green-1.4.0"), &manifest, None).await;
    assert_ended(&ended, 0, "promoted", "1.5.0");
    assert_compared(&ended, WITH_BASELINE, 100.0, "Pass");
    assert_nothing_lost(&counts);
    assert_only("1.5.0", &at_end, &counts);
    site.down();
}
