//! A cache of facts about objects, kept up to date by a watch and found by what they belong to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher;
use lifecycle_core::backend::ErrorKind;
use tokio::sync::watch;

use super::pauses::Pauses;

/// A watch that failed is believed to be well again after this long without another failure: longer than
/// its longest pause between two tries. (One that is well says nothing until something changes.)
const TROUBLE_LASTS: Duration = Pauses::LAST.saturating_add(Duration::from_secs(5));

/// Namespace and what objects are found by there: the name of a target, or of a Service.
pub(super) type Group = (Arc<str>, Arc<str>);

/// Facts about the objects of one kind.
#[derive(Debug)]
pub struct Index<V> {
    what: &'static str,
    inner: Mutex<Inner<V>>,
    synced: watch::Sender<bool>,
}

#[derive(Debug)]
struct Inner<V> {
    groups: HashMap<Group, BTreeMap<Arc<str>, Entry<V>>>,
    /// Where an object is, by its namespace and name.
    places: HashMap<Group, Group>,
    /// The newest version that the watch has brought. It brings them in order: what is older and is not known here
    /// is gone.
    newest: u64,
    /// What a list that is being read has brought so far.
    listed: Option<HashSet<Group>>,
    trouble: Option<(Instant, IndexTrouble)>,
}

#[derive(Debug)]
struct Entry<V> {
    version: u64,
    /// Shared with those who look, and apart from the tree, whose nodes have room for eleven.
    facts: Arc<V>,
}

/// Why the watch does not bring anything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexTrouble {
    /// What a caller can do about it.
    pub kind: ErrorKind,
    /// What happened, for people.
    pub message: String,
}

/// How the watch behind a cache does, whatever it holds.
pub(super) trait Watched {
    /// What it holds, for people.
    fn what(&self) -> &'static str;
    /// Becomes true with the first list.
    fn synced(&self) -> watch::Receiver<bool>;
    /// Why the watch does not bring anything at present.
    fn trouble(&self) -> Option<IndexTrouble>;
}

impl<V: PartialEq + Debug> Watched for Index<V> {
    fn what(&self) -> &'static str {
        self.what
    }

    fn synced(&self) -> watch::Receiver<bool> {
        self.synced.subscribe()
    }

    fn trouble(&self) -> Option<IndexTrouble> {
        self.trouble()
    }
}

impl<V: PartialEq + Debug> Index<V> {
    /// An empty cache of `what`, like `pods`.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        let inner =
            Inner { groups: HashMap::new(), places: HashMap::new(), newest: 0, listed: None, trouble: None };
        Self { what, inner: Mutex::new(inner), synced: watch::Sender::new(false) }
    }

    /// What it holds, for people.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }

    /// All facts of one group, by the name of the object.
    #[must_use]
    pub fn group(&self, namespace: &str, group: &str) -> Vec<Arc<V>> {
        let key = (Arc::from(namespace), Arc::from(group));
        let inner = self.lock();
        inner
            .groups
            .get(&key)
            .map(|group| group.values().map(|entry| Arc::clone(&entry.facts)).collect())
            .unwrap_or_default()
    }

    /// Names of the groups of a namespace that hold such an object. Looks at everything.
    pub(super) fn groups_with(&self, namespace: &str, is_such: impl Fn(&V) -> bool) -> Vec<Arc<str>> {
        let inner = self.lock();
        let there = inner.groups.iter().filter(|((place, _), _)| **place == *namespace);
        let such = there.filter(|(_, group)| group.values().any(|entry| is_such(&entry.facts)));
        such.map(|((_, name), _)| Arc::clone(name)).collect()
    }

    /// Has the first list been read?
    #[must_use]
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Why the watch does not bring anything at present.
    #[must_use]
    pub fn trouble(&self) -> Option<IndexTrouble> {
        let inner = self.lock();
        let (since, trouble) = inner.trouble.as_ref()?;
        (since.elapsed() < TROUBLE_LASTS).then(|| trouble.clone())
    }

    /// Takes in what a write has answered, so that the next look sees it whether or not the watch has brought
    /// it. What the watch has brought and taken away since stays away.
    pub fn put(&self, meta: &ObjectMeta, group: Option<&str>, facts: Option<V>) {
        let mut inner = self.lock();
        if inner.knows(meta) || version_of(meta) > inner.newest {
            inner.apply(meta, group, facts);
        }
    }

    /// Takes in what the watch brought, and answers with the groups that look different now.
    pub(super) fn feed<K>(
        &self,
        event: watcher::Event<K>,
        read: impl Fn(&K) -> (ObjectMeta, Option<String>, Option<V>),
    ) -> Vec<Group> {
        let mut inner = self.lock();
        if !matches!(event, watcher::Event::Init) {
            inner.trouble = None;
        }
        match event {
            watcher::Event::Init => {
                inner.listed = Some(HashSet::new());
                Vec::new()
            }
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                let (meta, group, facts) = read(&object);
                inner.reach(&meta);
                inner.apply(&meta, group.as_deref(), facts)
            }
            watcher::Event::Delete(object) => {
                let (meta, ..) = read(&object);
                inner.reach(&meta);
                inner.apply(&meta, None, None)
            }
            watcher::Event::InitDone => {
                let changed = inner.sweep();
                drop(inner);
                self.synced.send_replace(true);
                changed
            }
        }
    }

    /// The watch failed, and will be tried again.
    pub(super) fn failed(&self, trouble: IndexTrouble) {
        self.lock().trouble = Some((Instant::now(), trouble));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner<V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opaque by contract until Kubernetes 1.35, which made it a number to compare; it always was one.
fn version_of(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

impl<V: PartialEq> Inner<V> {
    fn knows(&self, meta: &ObjectMeta) -> bool {
        let (Some(name), Some(namespace)) = (meta.name.as_deref(), meta.namespace.as_deref()) else {
            return false;
        };
        self.places.contains_key(&(namespace.into(), name.into()))
    }

    /// The watch has brought this.
    fn reach(&mut self, meta: &ObjectMeta) {
        let version = version_of(meta);
        if version < u64::MAX {
            self.newest = self.newest.max(version);
        }
    }

    /// Facts of an object, `None` when it is gone or no business of ours.
    fn apply(&mut self, meta: &ObjectMeta, group: Option<&str>, facts: Option<V>) -> Vec<Group> {
        let (Some(name), Some(namespace)) = (meta.name.as_deref(), meta.namespace.as_deref()) else {
            return Vec::new();
        };
        let (namespace, name): (Arc<str>, Arc<str>) = (namespace.into(), name.into());
        let place = (Arc::clone(&namespace), Arc::clone(&name));
        let version = version_of(meta);
        let before = self.places.get(&place).cloned();
        let known = before.as_ref().and_then(|group| Some(self.groups.get(group)?.get(&name)?.version));
        if known.is_some_and(|known| version < known) {
            return Vec::new();
        }
        if let Some(listed) = &mut self.listed {
            listed.insert(place.clone());
        }
        let after = group.map(|group| (namespace, Arc::from(group)));
        let mut changed = Vec::new();
        if before != after
            && let Some(before) = before
        {
            self.remove(&place, &before);
            changed.push(before);
        }
        if let (Some(after), Some(facts)) = (after, facts) {
            let members = self.groups.entry(after.clone()).or_default();
            match members.get_mut(&name) {
                Some(known) if *known.facts == facts => known.version = version,
                _ => {
                    members.insert(name, Entry { version, facts: Arc::new(facts) });
                    changed.push(after.clone());
                }
            }
            self.places.insert(place, after);
        }
        changed
    }

    fn remove(&mut self, place: &Group, group: &Group) {
        self.places.remove(place);
        if let Some(members) = self.groups.get_mut(group) {
            members.remove(&place.1);
            if members.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    /// After a list: what it did not bring is gone.
    fn sweep(&mut self) -> Vec<Group> {
        let Some(listed) = self.listed.take() else { return Vec::new() };
        let gone: Vec<(Group, Group)> = self
            .places
            .iter()
            .filter(|(place, _)| !listed.contains(*place))
            .map(|(place, group)| (place.clone(), group.clone()))
            .collect();
        for (place, group) in &gone {
            self.remove(place, group);
        }
        gone.into_iter().map(|(_, group)| group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(name: &str, version: u64) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.into()),
            namespace: Some("ns".into()),
            resource_version: Some(version.to_string()),
            ..ObjectMeta::default()
        }
    }

    type Object = (ObjectMeta, Option<String>, Option<u32>);

    fn object(name: &str, version: u64, group: &str, facts: u32) -> Object {
        (meta(name, version), Some(group.into()), Some(facts))
    }

    fn seen(index: &Index<u32>, group: &str) -> Vec<u32> {
        index.group("ns", group).iter().map(|facts| **facts).collect()
    }

    fn feed(index: &Index<u32>, event: watcher::Event<Object>) -> usize {
        index.feed(event, Clone::clone).len()
    }

    #[test]
    fn a_change_is_told_once_and_an_older_one_is_ignored() {
        let index = Index::new("things");
        assert_eq!(feed(&index, watcher::Event::Apply(object("a", 2, "g", 1))), 1);
        assert_eq!(
            feed(&index, watcher::Event::Apply(object("a", 3, "g", 1))),
            0,
            "nothing that counts is new"
        );
        assert_eq!(feed(&index, watcher::Event::Apply(object("a", 1, "g", 9))), 0, "it is late");
        assert_eq!(seen(&index, "g"), [1]);
    }

    #[test]
    fn what_was_written_is_seen_before_the_watch_brings_it() {
        let index = Index::new("things");
        index.put(&meta("a", 5), Some("g"), Some(7));
        feed(&index, watcher::Event::Apply(object("a", 4, "g", 1)));
        assert_eq!(seen(&index, "g"), [7]);
    }

    #[test]
    fn an_answer_that_is_older_than_the_deletion_brings_nothing_back() {
        let index = Index::new("things");
        feed(&index, watcher::Event::Apply(object("a", 4, "g", 1)));
        feed(&index, watcher::Event::Delete(object("a", 6, "g", 1)));
        index.put(&meta("a", 5), Some("g"), Some(7));
        assert_eq!(seen(&index, "g"), [0_u32; 0]);
        index.put(&meta("a", 7), Some("g"), Some(8));
        assert_eq!(seen(&index, "g"), [8], "it was made again");
    }

    #[test]
    fn an_object_that_moves_leaves_its_old_group() {
        let index = Index::new("things");
        feed(&index, watcher::Event::Apply(object("a", 1, "g", 1)));
        assert_eq!(feed(&index, watcher::Event::Apply(object("a", 2, "h", 1))), 2);
        assert_eq!((seen(&index, "g"), seen(&index, "h")), (vec![], vec![1]));
        assert_eq!(feed(&index, watcher::Event::Delete(object("a", 3, "h", 1))), 1);
        assert_eq!(seen(&index, "h"), [0_u32; 0]);
    }

    #[test]
    fn what_a_new_list_does_not_bring_is_gone() {
        let index = Index::new("things");
        feed(&index, watcher::Event::Apply(object("a", 1, "g", 1)));
        feed(&index, watcher::Event::Apply(object("b", 1, "g", 2)));
        feed(&index, watcher::Event::Init);
        feed(&index, watcher::Event::InitApply(object("b", 1, "g", 2)));
        assert_eq!(seen(&index, "g"), [1, 2], "until the list is whole");
        assert!(!index.is_synced());
        assert_eq!(feed(&index, watcher::Event::InitDone), 1);
        assert_eq!(seen(&index, "g"), [2]);
        assert!(index.is_synced());
    }

    #[test]
    fn an_event_ends_the_trouble() {
        let index = Index::new("things");
        let trouble = IndexTrouble { kind: ErrorKind::Unauthorized, message: "no".into() };
        index.failed(trouble.clone());
        assert_eq!(index.trouble(), Some(trouble));
        feed(&index, watcher::Event::Init);
        assert!(index.trouble().is_some(), "it was only asked again");
        feed(&index, watcher::Event::Apply(object("a", 1, "g", 1)));
        assert_eq!(index.trouble(), None);
    }
}
