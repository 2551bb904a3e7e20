//! The engine's state in the status of the object that it is about.

use std::cmp::Ordering;
use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use kube::core::object::HasStatus;
use lifecycle_core::backend::{
    BackendError, BackendResult, ErrorKind, News, Record, RolloutStore, StoreVersion, Stored,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::api::{Object, Part, Writer};

/// How often a write is tried again when the object changed but the record in it did not.
const ATTEMPTS: usize = 4;

/// Makes the part of the status that people look at, of the status as it is, the record that is saved, and the
/// news. What it does not name stays.
pub type Show<K> = dyn Fn(&K, &Record, News<'_>) -> Map<String, Value> + Send + Sync;

/// A resource whose status has a text `rollout`, where the engine keeps its record.
pub trait WithStatus: Object + HasStatus<Status: Serialize> {}

impl<K: Object + HasStatus<Status: Serialize>> WithStatus for K {}

/// Keeps the record of a rollout in `status.rollout`, as text.
///
/// A save carries the resourceVersion of the object whose record it replaces. When somebody else changed
/// the object but not the record (its spec was edited), the save is made again on the newer one; when the
/// record is another one, it is a conflict. A save that was begun is finished even when its caller gives up, and
/// the next call waits for it.
pub struct StatusStore<K> {
    writer: Writer,
    name: String,
    uid: String,
    show: Option<Arc<Show<K>>>,
    known: Arc<Mutex<Option<Known<K>>>>,
}

/// What is known, while nobody else reads or writes it.
type Held<K> = OwnedMutexGuard<Option<Known<K>>>;

struct Known<K> {
    /// Was it handed over from a cache, and not read or written by this store?
    from_cache: bool,
    object: Arc<K>,
    sequence: u64,
    version: Option<StoreVersion>,
    /// Why the text cannot be read.
    damage: Option<BackendError>,
}

/// What `status.rollout` holds.
#[derive(Serialize, Deserialize)]
struct Envelope {
    format: u32,
    sequence: u64,
    record: Record,
}

/// Of the text; one of another format is refused.
const FORMAT: u32 = 1;

impl<K> Debug for StatusStore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusStore")
            .field("name", &self.name)
            .field("uid", &self.uid)
            .finish_non_exhaustive()
    }
}

impl<K: WithStatus> StatusStore<K> {
    /// The store in the object with this name and uid.
    #[must_use]
    pub fn new(writer: Writer, name: impl Into<String>, uid: impl Into<String>) -> Self {
        Self { writer, name: name.into(), uid: uid.into(), show: None, known: Arc::default() }
    }

    /// With the object as it was seen last, which saves the first call.
    #[must_use]
    pub fn known(self, object: Arc<K>) -> Self {
        let known = Known { from_cache: true, ..read(object) };
        Self { known: Arc::new(Mutex::new(Some(known))), ..self }
    }

    /// With what people are shown, written together with the record.
    #[must_use]
    pub fn show(mut self, show: Arc<Show<K>>) -> Self {
        self.show = Some(show);
        self
    }

    /// The object as it is now, `None` when it is gone.
    ///
    /// # Errors
    /// When it could not be read.
    pub async fn refresh(&self) -> BackendResult<Option<Arc<K>>> {
        let mut known = self.known.lock().await;
        match self.fetch().await {
            Ok(current) => Ok(Some(Arc::clone(&known.insert(current).object))),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes over the object as another write of this process has answered it.
    pub async fn replace_known(&self, object: K) {
        let mut known = self.known.lock().await;
        let from_cache = known.as_ref().is_some_and(|known| known.from_cache);
        *known = Some(Known { from_cache, ..read(Arc::new(object)) });
    }

    /// Takes over the object as a watch has brought it: where it is the same, so that there is one copy of it; where it
    /// is newer and has the record that is known, because somebody edited something else, and the next save need not
    /// find that out by a conflict.
    pub async fn seen(&self, object: &Arc<K>) {
        let mut known = self.known.lock().await;
        let Some(known) = known.as_mut() else { return };
        let is_adopted = match order(&**object, &known.object) {
            Some(Ordering::Equal) => true,
            Some(Ordering::Greater) => text_of(&**object) == text_of(&*known.object),
            Some(Ordering::Less) | None => false,
        };
        if is_adopted {
            known.object = Arc::clone(object);
        }
    }

    /// The object as of the last read or write.
    pub async fn newest(&self) -> Option<Arc<K>> {
        self.known.lock().await.as_ref().map(|known| Arc::clone(&known.object))
    }

    /// Writes what people are shown, and nothing else, unless it is there already. Says whether it wrote. `about` is the
    /// version of the record that it is about, if it is about one ([`Driver::version`](lifecycle_core::driver::Driver::version)).
    ///
    /// # Errors
    /// When the write failed: a conflict when the record is another one by now, because somebody else has saved.
    pub async fn write_shown(
        &self,
        shown: &Map<String, Value>,
        about: Option<&Option<StoreVersion>>,
    ) -> BackendResult<bool> {
        let mut known = Arc::clone(&self.known).lock_owned().await;
        for attempt in 1.. {
            let current = match known.take() {
                Some(current) => current,
                None => self.fetch().await?,
            };
            if about.is_some_and(|about| *about != current.version) {
                *known = Some(current);
                return Err(self.saved_by_another());
            }
            let status = status_of(&*current.object);
            if shown.iter().all(|(field, value)| status.get(field).unwrap_or(&Value::Null) == value) {
                *known = Some(current);
                return Ok(false);
            }
            let answer;
            (known, answer) = self.write(known, &current, shown.clone()).await?;
            match answer {
                Ok(object) => {
                    *known = Some(Known { object: Arc::new(object), from_cache: false, ..current });
                    return Ok(true);
                }
                Err(error) if error.kind == ErrorKind::Conflict && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    async fn save_shown(
        &self,
        record: &Record,
        expected: Option<StoreVersion>,
        news: Option<News<'_>>,
    ) -> BackendResult<StoreVersion> {
        let mut known = Arc::clone(&self.known).lock_owned().await;
        for attempt in 1.. {
            let current = match known.take() {
                Some(current) => current,
                None => self.fetch().await?,
            };
            if current.version != expected {
                // somebody else drives this target too: the next load has to see what they wrote
                return Err(self.saved_by_another());
            }
            let sequence = current.sequence + 1;
            let envelope = Envelope { format: FORMAT, sequence, record: record.clone() };
            let text = serde_json::to_string(&envelope).map_err(|error| {
                let message = format!("the record of {} cannot be written as JSON: {error}", self.name);
                BackendError::new("kubernetes", "save", ErrorKind::Invalid, message).because(error)
            })?;
            let version = version_of(&text);
            let mut fields = match (&self.show, news) {
                (Some(show), Some(news)) => show(&current.object, record, news),
                _ => Map::new(),
            };
            fields.insert("rollout".to_owned(), text.into());
            let answer;
            (known, answer) = self.write(known, &current, fields).await?;
            match answer {
                Ok(object) => {
                    *known = Some(Known {
                        object: Arc::new(object),
                        sequence,
                        version: Some(version.clone()),
                        damage: None,
                        from_cache: false,
                    });
                    return Ok(version);
                }
                // only the next read tells whether it was the record that changed
                Err(error) if error.kind == ErrorKind::Conflict && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        let message = format!("{} changes faster than it can be written", self.name);
        Err(BackendError::new("kubernetes", "save", ErrorKind::Conflict, message))
    }

    /// Writes in a task of its own, which holds what is known until it has its answer: a request that is on its way
    /// cannot be called back, and whoever reads before it arrives would decide on what is about to change.
    async fn write(
        &self,
        known: Held<K>,
        current: &Known<K>,
        fields: Map<String, Value>,
    ) -> BackendResult<(Held<K>, BackendResult<K>)> {
        let version = current.object.meta().resource_version.clone();
        let patch = json!({"metadata": {"resourceVersion": version, "uid": self.uid}, "status": fields});
        let (writer, name) = (self.writer.clone(), self.name.clone());
        let written = tokio::spawn(async move {
            let answer = writer.merge(&name, Part::Status, &patch).await;
            (known, answer)
        });
        written.await.map_err(|error| {
            let message = format!("the write to {} did not come to its end: {error}", self.name);
            BackendError::new("kubernetes", "save", ErrorKind::Transient, message)
        })
    }

    fn saved_by_another(&self) -> BackendError {
        let message = format!("the rollout of {} was saved by somebody else", self.name);
        BackendError::new("kubernetes", "save", ErrorKind::Conflict, message)
    }

    async fn fetch(&self) -> BackendResult<Known<K>> {
        let object: Option<K> = self.writer.get(&self.name).await?;
        let object = object.filter(|object| object.meta().uid.as_deref() == Some(&*self.uid));
        let Some(object) = object else {
            let message = format!("{} {} is gone", K::kind(&()), self.name);
            return Err(BackendError::new("kubernetes", "load", ErrorKind::NotFound, message));
        };
        Ok(read(Arc::new(object)))
    }
}

fn version_of(text: &str) -> StoreVersion {
    let digest = Sha256::digest(text);
    StoreVersion(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// Versions of one resource can be compared as numbers (Kubernetes 1.35 promises it; before, it was so by chance). What
/// cannot be compared is not newer: a save that is refused finds out.
fn order<K: Object>(object: &K, known: &K) -> Option<Ordering> {
    let version = |object: &K| object.meta().resource_version.as_deref()?.parse::<u64>().ok();
    if object.meta().uid != known.meta().uid {
        return None;
    }
    Some(version(object)?.cmp(&version(known)?))
}

fn status_of<K: WithStatus>(object: &K) -> Value {
    serde_json::to_value(object.status()).unwrap_or_default()
}

fn text_of<K: WithStatus>(object: &K) -> Option<String> {
    match status_of(object).get("rollout") {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn envelope(name: &str, text: &str) -> BackendResult<Envelope> {
    let damaged = |problem: String| {
        let message =
            format!("status.rollout of {name} is no record of a rollout: {problem}; remove it to start anew");
        BackendError::new("kubernetes", "load", ErrorKind::Invalid, message)
    };
    let envelope: Envelope = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    if envelope.format != FORMAT {
        return Err(damaged(format!(
            "it has format {}, and {FORMAT} is the one known here",
            envelope.format
        )));
    }
    Ok(envelope)
}

fn read<K: WithStatus>(object: Arc<K>) -> Known<K> {
    let name = object.meta().name.clone().unwrap_or_default();
    let text = text_of(&*object);
    let (sequence, damage) = match text.as_ref().map(|text| envelope(&name, text)) {
        Some(Ok(envelope)) => (envelope.sequence, None),
        Some(Err(damage)) => (0, Some(damage)),
        None => (0, None),
    };
    let version = text.map(|text| version_of(&text));
    Known { object, sequence, version, damage, from_cache: false }
}

#[async_trait]
impl<K: WithStatus> RolloutStore for StatusStore<K> {
    async fn load(&self) -> BackendResult<Option<Stored>> {
        let mut known = self.known.lock().await;
        let current = match known.take() {
            Some(current) if current.from_cache => Known { from_cache: false, ..current },
            _ => self.fetch().await?,
        };
        if let Some(damage) = current.damage.clone() {
            *known = Some(current);
            return Err(damage);
        }
        let text = text_of(&*current.object);
        let stored = match (text, current.version.clone()) {
            (Some(text), Some(version)) => Some(Stored::new(envelope(&self.name, &text)?.record, version)),
            _ => None,
        };
        *known = Some(current);
        Ok(stored)
    }

    async fn save(&self, record: &Record, expected: Option<StoreVersion>) -> BackendResult<StoreVersion> {
        self.save_shown(record, expected, None).await
    }

    async fn save_with_news(
        &self,
        record: &Record,
        expected: Option<StoreVersion>,
        news: News<'_>,
    ) -> BackendResult<StoreVersion> {
        self.save_shown(record, expected, Some(news)).await
    }
}
