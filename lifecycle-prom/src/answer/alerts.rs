//! Alerts of Alertmanager.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Answer, AnswerError, Series, Value, problem_of_http, shown};

/// How errors call it.
const API: &str = "Alertmanager's API";

/// What `/api/v2/alerts` sends,
/// <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>.
#[derive(Deserialize)]
struct Alert {
    labels: BTreeMap<String, String>,
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    state: String,
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
}

/// Reads what `/api/v2/alerts` of Alertmanager has sent back: one series of the value 1 for each alert that is active, and
/// neither silenced nor inhibited.
///
/// # Errors
/// When it is no list of alerts.
///
/// # Example
/// ```
/// # use lifecycle_prom::answer::{self, Answer};
/// let body = br#"[
///   {"labels": {"alertname": "Trouble"}, "status": {"state": "active", "silencedBy": [], "inhibitedBy": []}},
///   {"labels": {"alertname": "Known"}, "status": {"state": "suppressed", "silencedBy": ["x"], "inhibitedBy": []}}
/// ]"#;
/// assert!(matches!(answer::read_alerts(200, None, body), Ok(Answer::Vector(alerts)) if alerts.len() == 1));
/// ```
pub fn read_alerts(status: u16, location: Option<&str>, body: &[u8]) -> Result<Answer, AnswerError> {
    if let Some(problem) = problem_of_http(status, location, body) {
        return Err(problem);
    }
    let alerts: Vec<Alert> = serde_json::from_slice(body).map_err(|error| {
        let begins = shown(&String::from_utf8_lossy(body));
        AnswerError::NotTheApi { api: API, problem: shown(&error.to_string()), begins }
    })?;
    // they were asked for, and an older Alertmanager may not know how
    let fires = |alert: &Alert| {
        let Status { state, silenced_by, inhibited_by } = &alert.status;
        state == "active" && silenced_by.is_empty() && inhibited_by.is_empty()
    };
    let firing = alerts.into_iter().filter(fires);
    let series = firing.map(|Alert { labels, .. }| Series { labels, value: Value::Number(1.0), at: 0.0 });
    Ok(Answer::Vector(series.collect()))
}

#[cfg(test)]
mod tests {
    use lifecycle_core::backend::ErrorKind;

    use super::*;

    fn alert(name: &str, state: &str, silenced: &str, inhibited: &str) -> String {
        format!(
            r#"{{"annotations":{{}},"endsAt":"2024-01-01T00:00:00Z","fingerprint":"f","receivers":[{{"name":"r"}}],
            "status":{{"state":"{state}","silencedBy":[{silenced}],"inhibitedBy":[{inhibited}]}},
            "labels":{{"alertname":"{name}"}}}}"#
        )
    }

    #[test]
    fn alerts_that_fire_are_those_that_nobody_has_silenced() {
        let alerts = [
            alert("a", "active", "", ""),
            alert("b", "suppressed", r#""s1""#, ""),
            alert("c", "suppressed", "", r#""f2""#),
            alert("d", "unprocessed", "", ""),
            alert("e", "active", r#""s1""#, ""),
            alert("f", "active", "", ""),
        ];
        let body = format!("[{}]", alerts.join(","));
        let expected = ["a", "f"].map(|name| Series::new([("alertname", name)], 1.0));
        assert_eq!(read_alerts(200, None, body.as_bytes()), Ok(Answer::Vector(expected.to_vec())));
        assert_eq!(read_alerts(200, None, b"[]"), Ok(Answer::Vector(vec![])));
    }

    #[test]
    fn what_is_no_list_of_alerts_says_what_it_is() {
        use ErrorKind::{Invalid, Transient, Unauthorized};
        for (status, body, kind, said) in [
            (400, r#"{"code":601,"message":"bad matcher"}"#, Invalid, "HTTP status 400: \"{\\\"code\\\":601"),
            (401, "who are you", Unauthorized, "HTTP status 401"),
            (503, "", Transient, "HTTP status 503"),
            (302, "", Invalid, "sends to \"https://login\""),
            (200, "<html>Sign in</html>", Invalid, "HTML came back"),
            (200, "", Invalid, "no answer of Alertmanager's API: EOF"),
            (
                200,
                r#"{"status":"success","data":{}}"#,
                Invalid,
                "no answer of Alertmanager's API: invalid type: map",
            ),
            (200, r#"[{"labels":{}}]"#, Invalid, "missing field `status`"),
        ] {
            let error = read_alerts(status, Some("https://login"), body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(said), "{status} {body}: {error}");
        }
    }
}
