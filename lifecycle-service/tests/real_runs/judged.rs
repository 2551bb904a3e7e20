//! The sequential judge on the proxy's own counts: 300 requests a second, a tenth of them to the canary.

use std::path::PathBuf;

use serde_json::Value;

use super::site::{Ended, Site};
use super::{assert_ended, assert_nothing_lost, rollout_at};

const RATE: u32 = 300;

/// `canary-1.5.0-bad` with these errors, one step, and the sequential judge in the place of the thresholds.
fn judged(site: &Site, errors: &str, bake: &str) -> PathBuf {
    site.edited(
        "canary-1.5.0-bad",
        &[
            (
                "steps: [{setWeight: 10, bake: 6s}, {setWeight: 50, bake: 6s}, {setWeight: 100, bake: 6s}]",
                &format!("steps: [{{setWeight: 10, bake: {bake}}}]"),
            ),
            ("interval: 1s", "interval: 2s"),
            ("minRequests: 30", "minRequests: 300"),
            (
                r#"checks: ["error_rate < 5%", "p95_latency < 500ms", "latency_p95_canary < 3x stable"]"#,
                "checks: [\"error_rate <= 1x stable\"]\n    sequential: {alpha: 0.01}",
            ),
            ("ERROR_RATE: 20%", &format!("ERROR_RATE: {errors}")),
        ],
    )
}

fn stable(site: &Site, errors: &str) -> PathBuf {
    site.edited("canary-1.4.0", &[("LATENCY_P50: 40ms", &format!("LATENCY_P50: 40ms, ERROR_RATE: {errors}"))])
}

/// Milliseconds from the first traffic of the canary to the decision to go back.
fn took(ended: &Ended) -> Option<u64> {
    let at = |name: &str| {
        let line = ended.lines.iter().find(|line| line["name"] == name)?;
        line["atMs"].as_u64()
    };
    at("GoingBack").zip(at("WeightReached")).map(|(left, begun)| left - begun)
}

#[tokio::test]
async fn a_canary_with_ten_times_the_errors_is_rolled_back_within_seconds() {
    let site = Site::new();
    let (before, manifest) = (stable(&site, "0.1%"), judged(&site, "1%", "10m"));
    let (ended, _, counts) = rollout_at(RATE, &site, &before, &manifest, None).await;
    assert_ended(&ended, 1, "rolledBack", "1.4.0");
    assert_nothing_lost(&counts);
    let why = ended.outcome["reason"].as_str().unwrap_or_default();
    println!(
        "left {:?} ms after the first traffic of the canary: {why}",
        took(&ended).expect("it went back")
    );
    assert!(why.contains("error_rate") && why.contains("that fail it"), "{why}");
    assert!(counts.of("1.5.0").failed > 3, "{counts:?}");
    site.down();
}

#[tokio::test]
async fn a_canary_as_bad_as_stable_is_promoted() {
    let site = Site::new();
    let (before, manifest) = (stable(&site, "1.2%"), judged(&site, "1.2%", "30s"));
    let (ended, _, counts) = rollout_at(RATE, &site, &before, &manifest, None).await;
    assert_ended(&ended, 0, "promoted", "1.5.0");
    assert_nothing_lost(&counts);
    let passed = |line: &&Value| line["name"] == "GatePassed";
    assert!(ended.lines.iter().any(|line| passed(&line)), "{:#?}", ended.lines);
    assert!(counts.of("1.4.0").failed > 10 && counts.of("1.5.0").failed > 3, "both fail: {counts:?}");
    site.down();
}
