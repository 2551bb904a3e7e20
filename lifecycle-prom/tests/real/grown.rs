//! What is counted between two marks, by Prometheus' own engine on series that are written down.

use lifecycle_core::backend::{HealthQuery, Mark, Signal, Span};
use lifecycle_core::time::Millis;
use lifecycle_prom::answer::{Answer, Series};
use lifecycle_prom::query::{Clock, Questions};
use lifecycle_prom::{Metrics, Target};

use super::promtool::{Document, count, parts};
use super::support::revision;

/// The values of the series of one replica, one every 15 s for 15 min. The marks are at 595 s and 900 s: the earlier one has seen
/// 40 scrapes, and 21 are to come up to the later one.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    up: &'static str,
    ok: &'static str,
    failed: &'static str,
    /// Of the process; empty for none.
    start: &'static str,
    pub(super) expected: Expected,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// Requests that have not failed, and failed ones.
    Counted(Option<f64>, Option<f64>),
    Unknown,
}

use Expected::{Counted, Unknown};

const PLAIN: Case = Case {
    name: "",
    up: "1x60",
    ok: "7+30x60",
    failed: "_x60",
    start: "",
    expected: Counted(Some(630.0), None),
};

const NONE: Expected = Counted(None, None);

pub(super) const KNOWN: [Case; 14] = [
    Case {
        name: "there at both ends",
        failed: "5+1x60",
        expected: Counted(Some(630.0), Some(21.0)),
        ..PLAIN
    },
    Case { name: "no traffic", ok: "9x60", failed: "7x60", expected: Counted(Some(0.0), Some(0.0)), ..PLAIN },
    Case { name: "no series", ok: "_x60", expected: NONE, ..PLAIN },
    Case {
        name: "the first failures are one burst",
        failed: "_x49 80x10",
        expected: Counted(Some(630.0), Some(80.0)),
        ..PLAIN
    },
    Case {
        name: "a scrape that fails in between",
        up: "1x49 0 1x9",
        ok: "7+30x49 stale 1537+30x9",
        failed: "5x49 stale 6x9",
        expected: Counted(Some(630.0), Some(1.0)),
        ..PLAIN
    },
    Case {
        name: "a replica that is gone",
        up: "1x50 stale",
        ok: "7+30x50 stale",
        failed: "1x50 stale",
        expected: Counted(Some(330.0), Some(0.0)),
        ..PLAIN
    },
    Case {
        name: "a replica that was gone before",
        up: "1x20 stale",
        ok: "7+30x20 stale",
        expected: NONE,
        ..PLAIN
    },
    Case {
        name: "a replica whose process began after the mark",
        up: "_x50 1x9",
        ok: "_x50 100+30x9",
        failed: "_x50 4 4 4 5x6",
        start: "_x50 600x9",
        expected: Counted(Some(370.0), Some(5.0)),
    },
    Case {
        name: "a replica that was started, and not scraped, just before the mark",
        up: "_x40 1x19",
        ok: "_x40 100+30x19",
        start: "_x40 540x19",
        expected: Counted(Some(670.0), None),
        ..PLAIN
    },
    Case {
        name: "a replica that could not be scraped while it started",
        up: "0x50 1x9",
        ok: "_x51 100+30x9",
        start: "_x51 600x9",
        expected: Counted(Some(370.0), None),
        ..PLAIN
    },
    Case {
        name: "a replica that was found late, whose past is not known",
        up: "_x50 1x9",
        ok: "_x50 5000+30x9",
        failed: "_x50 4000x9",
        start: "_x50 100x9",
        expected: Counted(Some(270.0), Some(0.0)),
    },
    Case {
        name: "a replica that was found late and does not say when it began",
        up: "_x50 1x9",
        ok: "_x50 5000+30x9",
        failed: "_x50 4000x9",
        expected: Counted(Some(270.0), Some(0.0)),
        ..PLAIN
    },
    Case {
        name: "a target that cannot be scraped and never could",
        up: "0x60",
        ok: "_x60",
        expected: NONE,
        ..PLAIN
    },
    Case { name: "a start that is worked out anew at each scrape", start: "100 101 99 100x57", ..PLAIN },
];

pub(super) const UNKNOWN: [Case; 8] = [
    Case { name: "a counter that was reset", ok: "900+30x50 30+30x9", expected: Unknown, ..PLAIN },
    Case {
        name: "reset at the first scrape after the mark",
        ok: "900+30x39 30+30x19",
        expected: Unknown,
        ..PLAIN
    },
    Case {
        name: "a process that began anew and had more to do than before",
        ok: "7x50 100+30x9",
        start: "100x50 750x9",
        expected: Unknown,
        ..PLAIN
    },
    Case {
        name: "a scrape that fails at the earlier mark",
        up: "1x38 0 1x20",
        ok: "7+30x38 stale 1207+30x20",
        expected: Unknown,
        ..PLAIN
    },
    Case {
        name: "a scrape that fails at the later mark",
        up: "1x59 0",
        ok: "7+30x59 stale",
        expected: Unknown,
        ..PLAIN
    },
    Case {
        name: "a series that was lost and found again",
        ok: "7+30x38 stale _ _ 1500+30x18",
        expected: Unknown,
        ..PLAIN
    },
    Case {
        name: "a new series of a target that was found late",
        up: "_x50 1x9",
        ok: "_x50 5000+30x9",
        failed: "_x55 40x4",
        expected: Unknown,
        ..PLAIN
    },
    Case { name: "a new series of nobody's", up: "_x60", failed: "_x50 3x9", expected: Unknown, ..PLAIN },
];

/// What is asked about these marks, in seconds: at first, and when something has changed.
struct Asked {
    plain: String,
    full: String,
}

fn asked(from: i64, until: i64) -> Asked {
    let since = Span::Since(Some(Mark(from * 1000)));
    let queries = [HealthQuery::over(Signal::Requests, revision("aaa"), since)];
    let clock = Clock::new(Mark(until * 1000), Millis::ZERO);
    let target = Target::new("default", "edge");
    let mut questions = Questions::new(Metrics::default(), &target, &queries, clock);
    let plain = questions.questions()[0].promql();
    let arm =
        [("namespace", "default"), ("agent", "edge"), ("revision", "aaa"), ("lifecycle_count", "changed")];
    let changed = Answer::Vector(vec![Series::new(arm, 1.0)]);
    let full = questions.more(&[Ok(changed)])[0].promql();
    Asked { plain, full }
}

impl Asked {
    /// Something, when the first question is not enough.
    fn more(&self) -> String {
        let sum = |which: &str| format!("(sum({}) or vector(0))", one(&self.plain, which));
        let counted = format!(
            "(sum({}) or vector(0))",
            parts(&self.plain, false, &["now", "then", "scraped", "changed"])
        );
        format!(
            "(count({}) > 0) or (abs({} - {} - {counted}) > 0.5)",
            one(&self.plain, "changed"),
            sum("now"),
            sum("then")
        )
    }
}

pub(super) fn add(document: &mut Document, instance: &str, case: &Case) {
    document.series(instance, "up", "", case.up);
    document.series(instance, "http_requests_total", ",code=\"200\"", case.ok);
    document.series(instance, "http_requests_total", ",code=\"500\"", case.failed);
    if !case.start.is_empty() {
        document.series(instance, "process_start_time_seconds", "", case.start);
    }
}

fn check(case: &Case) {
    let (mut document, asked) = (Document::default(), asked(595, 900));
    add(&mut document, "i", case);
    let plain = PLAINLY.contains(&case.name);
    match case.expected {
        Counted(ok, failed) => {
            let counted = [ok.map(|ok| (String::new(), ok)), failed.map(|failed| (count("failed"), failed))];
            let counted: Vec<_> = counted.into_iter().flatten().collect();
            document.expects(900, &parts(&asked.full, false, &["now", "then", "scraped"]), &counted);
            if plain {
                document.expects(900, &parts(&asked.plain, false, &["now", "then", "scraped"]), &counted);
            }
        }
        Unknown => {
            let unknown = format!("clamp({}, 1, 1)", parts(&asked.full, true, &["unknown"]));
            document.expects(900, &unknown, &[(count("unknown"), 1.0)]);
        }
    }
    match plain {
        true => document.expects(900, &asked.more(), &[]),
        false => document.expects_bare(900, &format!("count({})", asked.more()), 1.0),
    }
    assert_eq!(document.checked(), "", "{}", case.name);
}

/// The cases in which nothing but counters has changed.
const PLAINLY: [&str; 7] = [
    "there at both ends",
    "no traffic",
    "no series",
    "a scrape that fails in between",
    "a replica that was gone before",
    "a target that cannot be scraped and never could",
    "a start that is worked out anew at each scrape",
];

#[test]
fn between_two_marks_every_request_that_scrapes_have_seen_counts_once() {
    KNOWN.iter().for_each(check);
}

#[test]
fn what_cannot_be_told_is_said_to_be_unknown() {
    UNKNOWN.iter().for_each(check);
    let (mut document, asked) = (Document::default(), asked(595, 900));
    add(&mut document, "i", &PLAIN);
    add(&mut document, "j", &UNKNOWN[0]);
    let unknown = parts(&asked.full, true, &["unknown"]);
    document.expects(900, &unknown, &[(count("unknown"), 1.0)]);
    assert_eq!(document.checked(), "", "one replica is enough");
}

/// Looks at any times, replicas that come and go, codes that appear: each scrape brings what it has over the one before
/// to the look that it lies in, whatever the others are.
#[test]
fn looks_add_up_to_what_was_scraped() {
    let mut drawn = Drawn(7);
    for round in 0..20 {
        let mut document = Document::default();
        let mut marks: Vec<i64> = (0..12).map(|_| 30 + drawn.below(870)).collect();
        marks.sort_unstable();
        marks.dedup();
        let mut brought = vec![[0.0_f64, 0.0]; 61];
        let (mut seen, mut shown) = ([[false; 61]; 2], Vec::new());
        for replica in 0..5 {
            let (from, to) = (drawn.below(60) as usize, drawn.below(61) as usize + 1);
            let (from, to) = (from.min(to), to.max(from + 1).min(60));
            let mut values = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
            let mut counts = [drawn.below(3) as f64, -1.0];
            for scrape in 0..=60 {
                let word = |there: bool, value: String| if there { value } else { "_".to_owned() };
                let alive = (from..=to).contains(&scrape);
                let ended = scrape == to + 1;
                for (at, count) in counts.iter_mut().enumerate() {
                    let more = if drawn.below(3) == 0 { drawn.below(50) as f64 } else { 0.0 };
                    let before = count.max(0.0);
                    if alive && (at == 0 || *count >= 0.0 || more > 0.0) {
                        *count = before + more;
                        brought[scrape][at] += *count - if scrape == from { 0.0 } else { before };
                        seen[at][scrape] = true;
                    }
                    let text = word(alive && *count >= 0.0, count.to_string());
                    values[at].push(if ended && *count >= 0.0 { "stale".to_owned() } else { text });
                }
                let (up, start) = (word(alive, "1".to_owned()), word(alive, (from * 15).to_string()));
                values[2].push(if ended { "stale".to_owned() } else { up });
                values[3].push(if ended { "stale".to_owned() } else { start });
            }
            let [ok, failed, up, start] = values.map(|values| values.join(" "));
            let instance = format!("i{replica}");
            shown.push(format!("{instance} {from}..={to}"));
            document.series(&instance, "up", "", &up);
            document.series(&instance, "process_start_time_seconds", "", &start);
            document.series(&instance, "http_requests_total", ",code=\"200\"", &ok);
            document.series(&instance, "http_requests_total", ",code=\"500\"", &failed);
        }
        for pair in marks.windows(2) {
            let scrapes = (pair[0] / 15 + 1) as usize..=(pair[1] / 15) as usize;
            let sum = |at: usize| scrapes.clone().map(|scrape| brought[scrape][at]).sum::<f64>();
            // a series is there if one was at the earlier mark or since
            let asked = asked(pair[0], pair[1]);
            let query = parts(&asked.full, false, &["now", "then", "scraped"]);
            let there = |at: usize| format!("sum({}) or vector(0)", one(&query, ["", "failed"][at]));
            for at in 0..2 {
                document.expects_bare(pair[1], &there(at), sum(at));
                // the first question says the same, or that there is more to say
                let plainly = parts(&asked.plain, false, &["now", "then", "scraped"]);
                let plainly = match at {
                    0 => parts(&plainly, false, &["failed", "changed"]),
                    _ => one(&plainly, "failed"),
                };
                let differs = format!("abs((sum({plainly}) or vector(0)) - {}) > 0.5", sum(at));
                document.expects(pair[1], &format!("({differs}) unless ({})", asked.more()), &[]);
            }
            let unknown = format!("count({}) or vector(0)", one(&query, "unknown"));
            document.expects_bare(pair[1], &unknown, 0.0);
        }
        assert!(seen.iter().all(|seen| seen.contains(&true)), "{round}: nothing was drawn");
        assert_eq!(document.checked(), "", "round {round}, marks {marks:?}, {shown:?}");
    }
}

/// One part of what a question gives.
fn one(query: &str, which: &str) -> String {
    match which {
        "" => parts(query, false, &["failed", "unknown"]),
        which => parts(query, true, &[which]),
    }
}

/// Numbers that look random, the same ones each time.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, limit: i64) -> i64 {
        // Knuth's linear congruential generator, MMIX
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64) % limit
    }
}
