//! Look after look: E, and the verdict that it leads to.

use lifecycle_core::stats::Counts;
use serde::Serialize;

/// What a look leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// Neither is certain.
    #[default]
    Continue,
    /// The canary is worse. It stays so.
    Fail,
    /// The canary is certainly not that much worse. A failure may still follow.
    Pass,
}

/// When it fails, and when it passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Probability of a false alarm.
    pub(super) alpha: f64,
    /// The temper.
    pub(super) eta: f64,
    /// The ratio that an early pass rules out, and the probability that it is wrong.
    pub(super) early: Option<(f64, f64)>,
}

impl Rule {
    /// ln E from which on it fails.
    pub(super) fn fails_at(&self) -> f64 {
        -self.alpha.ln()
    }

    /// ln L from which on it passes.
    pub(super) fn passes_at(&self) -> Option<f64> {
        self.early.map(|(_, beta)| -beta.ln())
    }

    fn verdict(&self, before: Verdict, ln_e: f64, ln_l: Option<f64>) -> Verdict {
        let certain = ln_l.zip(self.passes_at()).is_some_and(|(ln_l, at)| ln_l >= at);
        match before {
            Verdict::Fail => Verdict::Fail,
            _ if ln_e >= self.fails_at() => Verdict::Fail,
            Verdict::Continue if !certain => Verdict::Continue,
            _ => Verdict::Pass,
        }
    }
}

/// One look: a line of JSON. What has no place there is for people.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    look: usize,
    /// `None` beyond a double.
    e: Option<f64>,
    #[serde(rename = "logE")]
    pub(super) ln_e: f64,
    pub(super) verdict: Verdict,
    /// Of the early pass.
    #[serde(skip)]
    pub(super) ln_l: Option<f64>,
    /// Of each arm.
    #[serde(skip)]
    pub(super) arms: Vec<Counts>,
}

/// A test, and all looks at it.
#[derive(Debug)]
pub(super) struct Course {
    /// What is tested, for people.
    pub(super) title: String,
    /// What is counted of each arm.
    pub(super) columns: &'static [&'static str],
    pub(super) rule: Rule,
    pub(super) looks: Vec<Judged>,
}

impl Course {
    /// Before the first look.
    pub(super) const fn new(title: String, columns: &'static [&'static str], rule: Rule) -> Self {
        Self { title, columns, rule, looks: Vec::new() }
    }

    /// Another look.
    pub(super) fn look(&mut self, arms: Vec<Counts>, ln_e: f64, ln_l: Option<f64>) {
        let before = self.looks.last().map(|look| look.verdict).unwrap_or_default();
        let verdict = self.rule.verdict(before, ln_e, ln_l);
        let e = Some(ln_e.exp()).filter(|e| e.is_finite());
        self.looks.push(Judged { look: self.looks.len(), e, ln_e, verdict, ln_l, arms });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_wins_over_a_pass_and_stays() {
        let rule = Rule { alpha: 0.01, eta: 1.0, early: Some((2.0, 0.05)) };
        let mut course = Course::new(String::new(), &[], rule);
        let (alarm, certain) = (100_f64.ln(), 20_f64.ln());
        let looks = [(0.0, 0.0), (0.0, certain), (0.0, -9.0), (alarm, 0.0), (0.0, certain), (-9.0, 0.0)];
        for (ln_e, ln_l) in looks {
            course.look(Vec::new(), ln_e, Some(ln_l));
        }
        let verdicts: Vec<Verdict> = course.looks.iter().map(|look| look.verdict).collect();
        let (go_on, pass, fail) = (Verdict::Continue, Verdict::Pass, Verdict::Fail);
        assert_eq!(verdicts, [go_on, pass, pass, fail, fail, fail]);
        course.look(Vec::new(), 800.0, None);
        assert_eq!(course.looks[6].e, None);
    }

    #[test]
    fn both_at_once_is_a_failure() {
        let rule = Rule { alpha: 0.5, eta: 1.0, early: Some((2.0, 0.5)) };
        assert_eq!(rule.verdict(Verdict::Continue, 1.0, Some(1.0)), Verdict::Fail);
        assert_eq!(rule.verdict(Verdict::Pass, 1.0, Some(1.0)), Verdict::Fail);
    }
}
