//! The Service that carries the traffic of a target.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use lifecycle_core::backend::{Route, RouteStatus, RouteWish, Token};
use lifecycle_core::plan::Weight;
use lifecycle_core::version::Revision;
use serde::{Deserialize, Serialize};

use super::annotation;
use crate::names;

/// A Service, as far as a rollout looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceSeen {
    /// Its identity.
    pub uid: String,
    /// Which write it is.
    pub resource_version: String,
    /// Which pods it selects.
    pub selector: BTreeMap<String, String>,
    /// The route that was written to it, `None` when none was or somebody spoilt it.
    pub record: Option<RouteRecord>,
    /// Is there an annotation of ours, spoilt or not?
    pub is_marked: bool,
    /// Has it any annotation?
    pub is_annotated: bool,
}

/// The annotation that keeps a route with its token, and the one before it until the new one is in effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RouteRecord {
    /// Uid of the object whose route it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The newest wish.
    #[serde(flatten)]
    pub now: RecordedRoute,
    /// The wish that was in effect before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<RecordedRoute>,
}

/// A route as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RecordedRoute {
    /// Order of its wish.
    pub token: u64,
    /// Does every revision get its share?
    #[serde(default, skip_serializing_if = "is_false")]
    pub balanced: bool,
    /// Gets the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Revision>,
    /// Gets `weight`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Revision>,
    /// The share of the canary.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl ServiceSeen {
    /// The facts of a Service.
    #[must_use]
    pub fn of(service: &Service) -> Option<Self> {
        let meta = &service.metadata;
        let mark = annotation(meta, names::ROUTE);
        Some(Self {
            uid: meta.uid.clone()?,
            resource_version: meta.resource_version.clone()?,
            is_marked: mark.is_some(),
            is_annotated: meta.annotations.is_some(),
            selector: service.spec.as_ref()?.selector.clone().unwrap_or_default(),
            record: mark.and_then(|text| serde_json::from_str(text).ok()),
        })
    }

    /// The hash of the one revision that it selects, `None` when it selects all of them.
    #[must_use]
    pub fn pinned(&self) -> Option<&str> {
        self.selector.get(names::REVISION).map(String::as_str)
    }
}

impl RecordedRoute {
    /// What is written down of a wish. `None` for a route that this version does not know.
    #[must_use]
    pub fn of(wish: &RouteWish) -> Option<Self> {
        let empty = Self { token: wish.token.0, balanced: false, stable: None, canary: None, weight: 0 };
        match &wish.route {
            Route::Balanced => Some(Self { balanced: true, ..empty }),
            Route::Split { stable, canary, weight } => {
                Some(Self { stable: stable.clone(), canary: canary.clone(), weight: weight.get(), ..empty })
            }
            _ => None,
        }
    }

    /// The route as the machine knows it.
    #[must_use]
    pub fn status(&self) -> RouteStatus {
        let route = if self.balanced {
            Route::Balanced
        } else {
            let weight = Weight::new(self.weight).unwrap_or(Weight::ZERO);
            Route::Split { stable: self.stable.clone(), canary: self.canary.clone(), weight }
        };
        RouteStatus::new(route, Token(self.token))
    }

    /// The revision that gets everything, by a Service's selector.
    #[must_use]
    pub fn target(&self) -> Option<&Revision> {
        if self.weight == 0 { self.stable.as_ref() } else { self.canary.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::version::{RevisionNumber, Version};

    use super::*;

    fn revision(number: u32) -> Revision {
        Revision::new(RevisionNumber(number), format!("hash{number}"), Version::new(1, u64::from(number), 0))
    }

    #[test]
    fn a_route_is_read_as_it_was_written_down() {
        let full =
            Route::Split { stable: Some(revision(1)), canary: Some(revision(2)), weight: Weight::FULL };
        for route in
            [full, Route::Balanced, Route::Split { stable: None, canary: None, weight: Weight::ZERO }]
        {
            let wish = RouteWish::new(route.clone(), Token(7));
            let now = RecordedRoute::of(&wish).unwrap();
            let text = serde_json::to_string(&RouteRecord {
                owner: Some("u1".into()),
                now: now.clone(),
                before: Some(now),
            })
            .unwrap();
            let read: RouteRecord = serde_json::from_str(&text).unwrap();
            assert_eq!(read.now.status(), RouteStatus::new(route, Token(7)), "{text}");
        }
    }
}
