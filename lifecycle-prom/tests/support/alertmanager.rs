//! A real Alertmanager that tells nobody.

use serde_json::{Value, json};

use super::program::{Running, program};

/// One for which an alert `Outage` of a namespace inhibits those called `Symptom` in it.
pub struct Alertmanager {
    running: Running,
    client: reqwest::Client,
}

const CONFIGURATION: &str = r#"
route: {receiver: nobody, group_wait: 0s}
receivers: [{name: nobody}]
inhibit_rules:
  - {source_matchers: ['alertname="Outage"'], target_matchers: ['alertname="Symptom"'], equal: [namespace]}
"#;

impl Alertmanager {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("alertmanager.yml"), CONFIGURATION).unwrap();
        let args = |dir: &std::path::Path, addr| {
            vec![
                format!("--config.file={}", dir.join("alertmanager.yml").display()),
                format!("--storage.path={}", dir.join("data").display()),
                format!("--web.listen-address={addr}"),
                // no other ones
                "--cluster.listen-address=".to_owned(),
            ]
        };
        // reqwest wants one, also without TLS; who was first does not matter
        drop(rustls::crypto::ring::default_provider().install_default());
        let program = program("prometheus-alertmanager", "prometheus-alertmanager");
        let running = Running::start(&program, dir, args, "Listening on").await;
        Self { running, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub fn url(&self) -> String {
        self.running.url()
    }

    /// These alerts fire from now on, each given by its labels.
    pub async fn fire(&self, alerts: &[Value]) {
        let alerts: Vec<Value> = alerts.iter().map(|labels| json!({"labels": labels})).collect();
        self.post("alerts", &json!(alerts)).await;
    }

    /// Silences the alerts with this name.
    pub async fn silence(&self, alertname: &str) {
        let matcher = json!({"name": "alertname", "value": alertname, "isRegex": false, "isEqual": true});
        let (from, to) = ("2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
        let silence = json!({"matchers": [matcher], "startsAt": from, "endsAt": to, "createdBy": "a test", "comment": "."});
        self.post("silences", &silence).await;
    }

    async fn post(&self, what: &str, body: &Value) {
        let answer =
            self.client.post(format!("{}/api/v2/{what}", self.url())).json(body).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{what}: {status}: {}", answer.text().await.unwrap());
    }
}
