//! What is written to a Service, which belongs to somebody else: one key of its selector and one annotation.

use serde_json::{Value, json};

use super::Owner;
use crate::look::{RecordedRoute, RouteRecord, ServiceSeen};
use crate::names;

/// The JSON patch that makes a Service follow a route, on the write that it was decided on: all in one,
/// so that no request goes by a mixture of two routes.
///
/// A split pins the selector to one revision, by a key beside the Service's own; a balanced route takes that
/// key away.
#[must_use]
pub fn route(
    owner: &Owner,
    service: &ServiceSeen,
    now: RecordedRoute,
    in_effect: Option<RecordedRoute>,
) -> Value {
    let mut patch = vec![
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": service.resource_version}),
        json!({"op": "test", "path": "/metadata/uid", "value": service.uid}),
    ];
    let pinned = format!("/spec/selector/{}", pointer(names::REVISION));
    if now.balanced {
        if service.pinned().is_some() {
            patch.push(json!({"op": "remove", "path": pinned}));
        }
    } else {
        // a revision that does not exist selects no pod
        let hash = now.target().map_or("none", |revision| &revision.hash);
        patch.push(json!({"op": "add", "path": pinned, "value": hash}));
    }
    if !service.is_annotated {
        patch.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    }
    let record = RouteRecord { owner: Some(owner.uid.clone()), now, before: in_effect };
    let annotation = format!("/metadata/annotations/{}", pointer(names::ROUTE));
    let text = serde_json::to_string(&record).unwrap_or_default();
    patch.push(json!({"op": "add", "path": annotation, "value": text}));
    Value::Array(patch)
}

/// The JSON patch that gives a Service back as it was found.
#[must_use]
pub fn release(service: &ServiceSeen) -> Value {
    let mut patch =
        vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": service.resource_version})];
    if service.pinned().is_some() {
        patch.push(json!({"op": "remove", "path": format!("/spec/selector/{}", pointer(names::REVISION))}));
    }
    if service.is_marked {
        patch.push(
            json!({"op": "remove", "path": format!("/metadata/annotations/{}", pointer(names::ROUTE))}),
        );
    }
    Value::Array(patch)
}

/// A key as a part of a JSON pointer (RFC 6901).
fn pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
