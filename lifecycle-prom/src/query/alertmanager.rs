//! Questions to Alertmanager.

use crate::metrics::Metrics;

/// The path of its API that lists alerts.
pub(super) const PATH: &str = "api/v2/alerts";

/// All critical alerts that fire, whosever they are: one question for everybody, and there are never many of them.
/// <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>.
pub(super) fn parameters(metrics: &Metrics) -> Vec<(&'static str, String)> {
    let states =
        [("active", "true"), ("silenced", "false"), ("inhibited", "false"), ("unprocessed", "false")];
    let states = states.map(|(state, wanted)| (state, wanted.to_owned()));
    let labels = std::iter::once(&metrics.critical).chain(&metrics.fixed);
    let filters = labels.map(|(label, value)| ("filter", format!("{label}={}", quoted(value))));
    states.into_iter().chain(filters).collect()
}

/// A value as matchers write it. These escapes are all that its older parser knows.
fn quoted(value: &str) -> String {
    let escaped = value.chars().fold(String::with_capacity(value.len()), |mut out, c| {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
        out
    });
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fires_is_asked_for_by_its_labels() {
        let metrics = Metrics::default().critical_alerts("priority", "P\"1\\\n").unwrap();
        let metrics = metrics.with_label("cluster", "blue").unwrap();
        let parameters = parameters(&metrics);
        let expected = [
            ("active", "true"),
            ("silenced", "false"),
            ("inhibited", "false"),
            ("unprocessed", "false"),
            ("filter", r#"priority="P\"1\\\n""#),
            ("filter", "cluster=\"blue\""),
        ];
        assert_eq!(parameters, expected.map(|(name, value)| (name, value.to_owned())));
    }
}
