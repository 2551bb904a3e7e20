//! Objects without what nobody looks at.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::{Stream, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Value, json};

use super::pauses::Pauses;

/// An object that is decoded without its `metadata.managedFields`, which are longer than all the rest of most
/// objects. Of a Deployment the entries are kept that name an owner of its pod template, with a digest of what they own
/// of it: that is how a template that was changed by hand is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lean<K>(pub(crate) K);

/// Watches objects for ever, with pauses after failures.
pub(crate) fn watch<K>(
    api: Api<Lean<K>>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: Resource<DynamicType: Default> + Clone + DeserializeOwned + fmt::Debug + Send + 'static,
{
    watcher(api, config).backoff(Pauses::new()).map_ok(|event| match event {
        watcher::Event::Apply(Lean(object)) => watcher::Event::Apply(object),
        watcher::Event::Delete(Lean(object)) => watcher::Event::Delete(object),
        watcher::Event::InitApply(Lean(object)) => watcher::Event::InitApply(object),
        watcher::Event::Init => watcher::Event::Init,
        watcher::Event::InitDone => watcher::Event::InitDone,
    })
}

impl<K: Resource> Resource for Lean<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

impl<'de, K: Resource<DynamicType: Default> + Deserialize<'de>> Deserialize<'de> for Lean<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let of = K::DynamicType::default();
        let owners = match (&*K::group(&of), &*K::kind(&of)) {
            ("apps", "Deployment") => Owners::Kept,
            _ => Owners::Dropped,
        };
        K::deserialize(Sifted { inner: deserializer, at: Place::Object(owners) }).map(Lean)
    }
}

/// Which map is read.
#[derive(Clone, Copy)]
enum Place {
    Object(Owners),
    Metadata(Owners),
}

/// Are the owners of the pod template of any use?
#[derive(Clone, Copy)]
enum Owners {
    Kept,
    Dropped,
}

/// Reads a map of an object that describes itself, as JSON does.
struct Sifted<T> {
    inner: T,
    at: Place,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Sifted<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Sifted { inner: visitor, at: self.at })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(Sifted { inner: visitor, at: self.at })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Sifted<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Sifted { inner: some, at: self.at })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Fields { map, at: self.at, next: Next::Other })
    }
}

struct Fields<A> {
    map: A,
    at: Place,
    next: Next,
}

/// What the key before this value was.
enum Next {
    Metadata(Owners),
    ManagedFields(Owners),
    Other,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let Some(key) = self.map.next_key::<String>()? else { return Ok(None) };
        self.next = match (self.at, &*key) {
            (Place::Object(owners), "metadata") => Next::Metadata(owners),
            (Place::Metadata(owners), "managedFields") => Next::ManagedFields(owners),
            _ => Next::Other,
        };
        let key: StringDeserializer<A::Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match self.next {
            Next::Metadata(owners) => {
                self.map.next_value_seed(Sifted { inner: seed, at: Place::Metadata(owners) })
            }
            Next::ManagedFields(Owners::Dropped) => {
                self.map.next_value::<IgnoredAny>()?;
                seed.deserialize(Value::Array(Vec::new())).map_err(A::Error::custom)
            }
            Next::ManagedFields(Owners::Kept) => {
                let entries: Vec<Entry> = self.map.next_value()?;
                let kept = entries.into_iter().filter_map(Entry::kept).collect();
                seed.deserialize(Value::Array(kept)).map_err(A::Error::custom)
            }
            Next::Other => self.map.next_value_seed(seed),
        }
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Sifted<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Sifted { inner: deserializer, at: self.at })
    }
}

/// One of the managed fields, as far as it is looked at.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    manager: String,
    #[serde(default, rename = "fieldsV1")]
    fields: Object,
}

#[derive(Default, Deserialize)]
struct Object {
    #[serde(default, rename = "f:spec")]
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default, rename = "f:template")]
    template: Option<Owned>,
}

/// A tree of fields, as a hash of all their names; `None` without any.
#[derive(Default)]
struct Owned(Option<u64>);

impl<'de> Deserialize<'de> for Owned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tree;

        impl<'de> Visitor<'de> for Tree {
            type Value = Owned;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tree of fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Owned, A::Error> {
                let mut all: Option<DefaultHasher> = None;
                while let Some((name, fields)) = map.next_entry::<String, Owned>()? {
                    (name, fields.0).hash(all.get_or_insert_default());
                }
                Ok(Owned(all.map(|all| all.finish())))
            }
        }

        deserializer.deserialize_map(Tree)
    }
}

impl Entry {
    fn kept(self) -> Option<Value> {
        let digest = format!("{:016x}", self.fields.spec.template?.0?);
        Some(json!({"manager": self.manager, "fieldsV1": {"f:spec": {"f:template": {digest: {}}}}}))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
    use kube::core::PartialObjectMeta;

    use super::*;

    fn deployment(managed: &Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "a", "labels": {"managedFields": "a label of this name"}, "managedFields": managed,
                "resourceVersion": "7",
            },
            "spec": {
                "replicas": 2, "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"name": "b"}, "spec": {"containers": [{"name": "app"}]}},
            },
            "status": {"replicas": 1},
        })
    }

    fn entry(manager: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn lean(object: &Value) -> Deployment {
        let lean: Lean<Deployment> = serde_json::from_str(&object.to_string()).unwrap();
        lean.0
    }

    #[test]
    fn all_but_the_managed_fields_is_read_as_ever() {
        let status = entry("kube-controller-manager", &json!({"f:status": {"f:replicas": {}}}));
        let scaled = entry("kubectl-scale", &json!({"f:spec": {"f:replicas": {}}}));
        let mut whole: Deployment = serde_json::from_value(deployment(&json!([scaled, status]))).unwrap();
        let read = lean(&deployment(&json!([scaled, status])));
        assert_eq!(whole.metadata.managed_fields.replace(Vec::new()).map(|all| all.len()), Some(2));
        assert_eq!(read, whole);
    }

    #[test]
    fn owners_of_the_template_are_kept_with_a_digest_of_what_they_own() {
        let owned = |fields: Value| {
            let object =
                deployment(&json!([entry("kubectl-edit", &json!({"f:spec": {"f:template": fields}}))]));
            let kept = lean(&object).metadata.managed_fields.unwrap();
            let all: Vec<(String, String)> = kept
                .into_iter()
                .map(|entry| (entry.manager.unwrap(), entry.fields_v1.unwrap().0.to_string()))
                .collect();
            all
        };
        let one = owned(
            json!({"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}, "f:env": {}}}}}),
        );
        let same = owned(
            json!({"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}, "f:env": {}}}}}),
        );
        let less = owned(json!({"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}}}));
        assert_eq!((one.len(), &*one[0].0), (1, "kubectl-edit"));
        assert_eq!(one, same);
        assert_ne!(one, less);
        assert_eq!(owned(json!({})), []);
    }

    #[test]
    fn of_others_no_owner_is_kept() {
        let fields = json!({"f:spec": {"f:template": {"f:spec": {"f:restartPolicy": {}}}}});
        let object = deployment(&json!([entry("kubectl-edit", &fields)])).to_string();
        let set: Lean<PartialObjectMeta<ReplicaSet>> = serde_json::from_str(&object).unwrap();
        assert_eq!(set.0.metadata.managed_fields, Some(Vec::new()));
        assert_eq!(set.0.metadata.resource_version.as_deref(), Some("7"));
    }

    #[test]
    fn an_object_without_metadata_is_read_as_ever() {
        for object in [json!({}), json!({"metadata": null}), json!({"metadata": {"managedFields": []}})] {
            let mut whole: Deployment = serde_json::from_value(object.clone()).unwrap();
            assert_eq!(lean(&object), whole.clone(), "{object}");
            whole.metadata.name = Some("a".into());
            assert_ne!(lean(&object), whole);
        }
    }

    #[test]
    fn an_object_that_is_none_is_refused_as_ever() {
        for wrong in [
            "[]",
            "7",
            r#"{"metadata": []}"#,
            r#"{"metadata": {"name": 7}}"#,
            r#"{"metadata": {"managedFields": 7}}"#,
        ] {
            assert!(serde_json::from_str::<Lean<Deployment>>(wrong).is_err(), "{wrong}");
        }
    }
}
