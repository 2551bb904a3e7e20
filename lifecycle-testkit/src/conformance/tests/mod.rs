//! The suites pass where they must, and each case fails where it must.

mod health;
mod router;
mod sim;
mod store;
mod toy;
mod workload;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{Outcome, Report};

/// Runs a suite whose backends never wait for anything outside of it.
fn run<T>(suite: impl Future<Output = T>) -> T {
    let mut suite = pin!(suite);
    for _ in 0..100_000 {
        if let Poll::Ready(report) = suite.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return report;
        }
    }
    panic!("the suite does not end");
}

/// Every case passes but for these, which are not applicable.
fn assert_conforms(report: Report, not_applicable: &[&str]) {
    let report = report.verify().unwrap();
    let names: Vec<&str> = report.not_applicable().map(|case| case.name).collect();
    assert_eq!(names, not_applicable, "{report}");
}

/// A backend with this defect fails this case.
fn assert_found(defect: impl std::fmt::Debug, report: &Report, case: &str) {
    let outcome = report.cases.iter().find(|found| found.name == case).map(|found| &found.outcome);
    assert!(matches!(outcome, Some(Outcome::Failed(_))), "{defect:?} is not found by {case}: {report}");
}

#[test]
fn a_report_without_a_passed_case_is_no_conformance() {
    let mut report = Report::new("nothing");
    assert!(report.clone().verify().is_err());
    report.cases.push(super::Case { name: "a_case", outcome: Outcome::NotApplicable("why".to_owned()) });
    assert!(report.clone().verify().is_err());
    report.cases.push(super::Case { name: "another", outcome: Outcome::Passed });
    assert!(report.clone().verify().is_ok());
    report.cases.push(super::Case { name: "a_third_case", outcome: Outcome::Failed("seen".to_owned()) });
    let error = report.verify().unwrap_err().to_string();
    assert!(error.contains("1 of 3 cases failed") && error.contains("a third case: seen"), "{error}");
    assert!(error.contains("a case: why"), "{error}");
}
