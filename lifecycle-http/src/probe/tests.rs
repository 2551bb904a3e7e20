use std::time::Duration;

use lifecycle_core::spec::Manifest;

use super::*;

fn refused(result: Result<Probe, ConfigError>, said: &str) {
    assert_eq!(result.unwrap_err().to_string(), said);
}

#[test]
fn the_named_probes_have_the_numbers_of_the_service() {
    let numbers = |probe: &Probe| {
        let spans = [probe.interval(), probe.timeout(), probe.initial_delay()];
        (
            probe.path().to_string(),
            spans.map(Millis::get),
            probe.failure_threshold(),
            probe.success_threshold(),
        )
    };
    assert_eq!(numbers(&Probe::liveness()), ("/health".to_owned(), [10_000, 5000, 0], 3, 1));
    assert_eq!(numbers(&Probe::readiness()), ("/ready".to_owned(), [5000, 3000, 0], 2, 1));
}

#[test]
fn the_probes_of_a_manifest_are_taken_as_they_are() {
    let manifest = "
apiVersion: enis.andaon.com/v1
kind: AgentDeployment
metadata: {name: edge-agent}
spec:
  version: 1.5.0
  liveness: {endpoint: /live, interval: 1s, timeout: 4s, failureThreshold: 7}
";
    let spec = Manifest::from_yaml(manifest).unwrap().spec;
    assert_eq!(Probe::try_from(spec.health_check()), Ok(Probe::readiness()));
    let liveness = Probe::readiness().with_path("/live").unwrap().with_interval(Millis(1000)).unwrap();
    let liveness = liveness.with_timeout(Millis(4000)).unwrap().with_failure_threshold(7).unwrap();
    assert_eq!(Probe::try_from(spec.liveness()), Ok(liveness));
}

#[test]
fn what_cannot_be_probed_is_refused_with_the_name_of_the_field() {
    let probe = Probe::readiness;
    let path = "is not a path of at most 1024 visible ASCII characters: write one like /ready";
    for given in ["", "ready", "http://host/ready", "/a b", "/ä", "/a\r\nHost: b", "unix:///run/it.sock"] {
        refused(probe().with_path(given), &format!("path: {given:?} {path}"));
    }
    assert!(probe().with_path(&format!("/{}", "a".repeat(1023))).is_ok());
    assert!(probe().with_path(&format!("/{}", "a".repeat(1024))).unwrap_err().problem.len() < 200);
    let accepted = "write a time from 1ms to 366 days";
    refused(probe().with_interval(Duration::ZERO), &format!("interval: 0s is too short: {accepted}"));
    refused(
        probe().with_interval(Duration::from_micros(999)),
        &format!("interval: 0s is too short: {accepted}"),
    );
    refused(probe().with_timeout(Millis(0)), &format!("timeout: 0s is too short: {accepted}"));
    refused(probe().with_eager(Millis(0)), &format!("eager: 0s is too short: {accepted}"));
    let year = Millis::from_secs(366 * 24 * 3600 + 1);
    refused(probe().with_timeout(year), &format!("timeout: 8784h1s is too long: {accepted}"));
    let accepted = "write a time from 0s to 366 days";
    refused(probe().with_initial_delay(year), &format!("initial_delay: 8784h1s is too long: {accepted}"));
    for (given, text) in [(0, "0"), (1001, "1001")] {
        let problem = format!("{text} is not a whole number from 1 to 1000");
        refused(probe().with_failure_threshold(given), &format!("failure_threshold: {problem}"));
        refused(probe().with_success_threshold(given), &format!("success_threshold: {problem}"));
    }
}

#[test]
fn the_longest_and_shortest_settings_are_accepted() {
    let longest = Millis::from_secs(366 * 24 * 3600);
    for span in [Millis(1), longest] {
        let probe = Probe::liveness().with_interval(span).unwrap().with_timeout(span).unwrap();
        assert!(probe.with_eager(span).unwrap().with_initial_delay(span).is_ok());
    }
    assert!(Probe::liveness().with_failure_threshold(1000).unwrap().with_success_threshold(1).is_ok());
}

#[test]
fn statuses_pass_as_the_kubelet_has_it_and_redirects_as_they_are_set() {
    let pass = |status| Outcome::passed(status, Millis(1));
    for (status, expected) in [
        (101, Outcome::failed(Failure::Status(101))),
        (199, Outcome::failed(Failure::Status(199))),
        (200, pass(200)),
        (204, pass(204)),
        (299, pass(299)),
        (300, pass(300)),
        (301, Outcome::failed(Failure::Redirect(301))),
        (302, Outcome::failed(Failure::Redirect(302))),
        (303, Outcome::failed(Failure::Redirect(303))),
        (304, pass(304)),
        (307, Outcome::failed(Failure::Redirect(307))),
        (308, Outcome::failed(Failure::Redirect(308))),
        (399, pass(399)),
        (400, Outcome::failed(Failure::Status(400))),
        (404, Outcome::failed(Failure::Status(404))),
        (500, Outcome::failed(Failure::Status(500))),
        (999, Outcome::failed(Failure::Status(999))),
    ] {
        assert_eq!(Probe::readiness().judge(status, Millis(1)), expected);
        let lenient = Probe::readiness().with_redirects(Redirects::Pass).judge(status, Millis(1));
        assert_eq!(lenient.is_passed(), (200..400).contains(&status), "{status}");
    }
}

#[test]
fn a_detail_is_one_line_of_bounded_length() {
    for (given, kept) in [
        ("", ""),
        (" \r\n\t", ""),
        ("a\r\n\r\n b\u{7}c ", "a b c"),
        ("\u{1b}[31mred", "[31mred"),
        ("next\u{2028}line", "next line"),
    ] {
        let detail = Detail::new(given);
        assert_eq!((detail.as_str(), detail.is_empty()), (kept, kept.is_empty()), "{given:?}");
    }
    assert_eq!(Detail::new(&"ä".repeat(200)).as_str(), "ä".repeat(200));
    assert_eq!(Detail::new(&"ä".repeat(201)).as_str(), format!("{}...", "ä".repeat(200)));
}

#[test]
fn an_outcome_is_said_in_words() {
    for (outcome, said) in [
        (Outcome::passed(200, Millis(12)), "status 200 in 12ms"),
        (Outcome::passed(204, Millis(0)).detail("x"), "status 204 in 0s"),
        (Outcome::failed(Failure::Refused), "connection refused"),
        (
            Outcome::failed(Failure::Redirect(302)).detail("to /login"),
            "status 302 redirects, which is not followed: to /login",
        ),
    ] {
        assert_eq!(outcome.to_string(), said);
    }
}
