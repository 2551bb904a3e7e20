//! Kubernetes Events: one for what is told first, a higher count for what is told again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::{Client, Resource};
use lifecycle_core::backend::{BackendResult, ErrorKind};
use serde_json::json;

use crate::client::{Part, Writer};
use crate::crd::AgentDeployment;
use crate::names;
use crate::text::cut;

/// What is told again within this long is counted up: as long as client-go's recorder keeps a series open
/// (`refreshTime`, tools/events/event_broadcaster.go).
const SERIES: Duration = Duration::from_secs(360);

/// What the API accepts of a note.
const MAX_NOTE: usize = 1024;

/// How loud it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Type {
    Normal,
    Warning,
}

/// Writes Events about `AgentDeployment`s.
pub(crate) struct Events {
    client: Client,
    instance: String,
    told: Mutex<Told>,
}

/// What was told lately, by what identifies it.
#[derive(Default)]
struct Told {
    series: HashMap<u64, Series>,
    /// When those that ended were thrown away.
    swept: Option<Instant>,
}

/// An Event that was written.
struct Series {
    name: String,
    count: i32,
    last: Instant,
}

impl Events {
    /// Of this instance of the controller; the controller's own name without one.
    pub(super) fn new(client: Client, instance: Option<String>) -> Self {
        let instance = instance.unwrap_or_else(|| names::CONTROLLER.to_owned());
        Self { client, instance, told: Mutex::default() }
    }

    /// Tells once more. An Event that cannot be written is logged, and not tried again.
    pub(super) async fn tell(&self, object: &AgentDeployment, type_: Type, reason: &str, note: &str) {
        let note = cut(note, MAX_NOTE);
        let identity = identity(object, type_, reason, note);
        let again = self.again(identity);
        let told = match again {
            Some((name, count)) => match self.count(object, &name, count).await {
                // it lives for an hour, and people may delete it
                Err(error) if error.kind == ErrorKind::NotFound => {
                    self.create(object, identity, type_, reason, note).await
                }
                counted => counted,
            },
            None => self.create(object, identity, type_, reason, note).await,
        };
        if let Err(error) = told {
            tracing::warn!(%error, reason, "an Event could not be written");
        }
    }

    /// The Event that says so already, and how often it was told with this time.
    fn again(&self, identity: u64) -> Option<(String, i32)> {
        let now = Instant::now();
        let mut told = self.told();
        if told.swept.is_none_or(|swept| now.duration_since(swept) >= SERIES) {
            told.series.retain(|_, series| now.duration_since(series.last) < SERIES);
            told.swept = Some(now);
        }
        let series =
            told.series.get_mut(&identity).filter(|series| now.duration_since(series.last) < SERIES)?;
        (series.count, series.last) = (series.count.saturating_add(1), now);
        Some((series.name.clone(), series.count))
    }

    async fn create(
        &self,
        object: &AgentDeployment,
        identity: u64,
        type_: Type,
        reason: &str,
        note: &str,
    ) -> BackendResult<()> {
        let now = Timestamp::now();
        let regarding = object.object_ref(&());
        let name = format!("{}.{:x}", regarding.name.as_deref().unwrap_or_default(), now.as_nanosecond());
        let event = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": regarding.namespace},
            "type": format!("{type_:?}"),
            "reason": reason,
            "action": reason,
            "note": note,
            "regarding": regarding,
            "eventTime": MicroTime(now),
            "reportingController": names::CONTROLLER,
            "reportingInstance": self.instance,
        });
        self.writer(object).create::<Event>(&name, &event).await?;
        self.told().series.insert(identity, Series { name, count: 1, last: Instant::now() });
        Ok(())
    }

    async fn count(&self, object: &AgentDeployment, name: &str, count: i32) -> BackendResult<()> {
        let series = json!({"series": {"count": count, "lastObservedTime": MicroTime(Timestamp::now())}});
        self.writer(object).merge::<Event>(name, Part::Whole, &series).await.map(drop)
    }

    fn writer(&self, object: &AgentDeployment) -> Writer {
        Writer::new(self.client.clone(), object.metadata.namespace.clone().unwrap_or_default())
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two that are the same are one Event. (64 bits: two of a million that are not the same share one with a
/// probability of 3 in a hundred million, and then the second is counted with the first.)
fn identity(object: &AgentDeployment, type_: Type, reason: &str, note: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    (&object.metadata.uid, type_, reason, note).hash(&mut hash);
    hash.finish()
}
