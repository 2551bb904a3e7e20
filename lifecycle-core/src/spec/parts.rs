//! The smaller sections: probes, traffic, adoption and hooks.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::SpecError;
use super::field::{Field, Fields};
use crate::backend::HookPoint;
use crate::plan::PlannedHook;
use crate::time::Millis;

/// How many hooks a manifest may have.
const MAX_HOOKS: usize = 64;

/// How many settings of its own a traffic provider may have.
const MAX_SETTINGS: usize = 64;

/// How a replica is asked whether it is ready (or alive).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Probe {
    /// Path of the HTTP GET request.
    pub endpoint: Arc<str>,
    /// Between two probes.
    pub interval: Millis,
    /// How long an answer may take.
    pub timeout: Millis,
    /// So many failed probes in a row are a failed verdict.
    pub failure_threshold: u32,
}

impl Probe {
    /// The probe in the section `name`, with these defaults for what it does not say.
    pub(super) fn read(spec: &Fields<'_>, name: &str, default: &Self) -> Result<Self, SpecError> {
        let fields = spec.section(name, &["endpoint", "interval", "timeout", "failureThreshold"])?;
        Ok(Self {
            endpoint: fields.read_or("endpoint", Arc::clone(&default.endpoint), endpoint)?,
            interval: fields.read_or("interval", default.interval, Field::time_span)?,
            timeout: fields.read_or("timeout", default.timeout, Field::time_span)?,
            failure_threshold: fields
                .read_or("failureThreshold", default.failure_threshold, |f| f.whole(1..=1000))?,
        })
    }

    pub(super) fn readiness() -> Self {
        let (interval, timeout) = (Millis::from_secs(5), Millis::from_secs(3));
        Self { endpoint: "/ready".into(), interval, timeout, failure_threshold: 2 }
    }

    pub(super) fn liveness() -> Self {
        let (interval, timeout) = (Millis::from_secs(10), Millis::from_secs(5));
        Self { endpoint: "/health".into(), interval, timeout, failure_threshold: 3 }
    }
}

fn endpoint(field: &Field<'_>) -> Result<Arc<str>, SpecError> {
    let text = field.text()?;
    let plain = text.chars().all(|c| c.is_ascii_graphic());
    if text.starts_with('/') && plain && text.len() <= 1024 {
        Ok(text.into())
    } else {
        Err(field.error(format!("{} is not a path: write one like /ready", super::error::quoted(text))))
    }
}

/// Whose router carries the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrafficProvider {
    /// The selector of a Service: all or nothing.
    Service,
    /// An Istio VirtualService.
    Istio,
    /// A Gateway API HTTPRoute (Linkerd and others).
    GatewayApi,
    /// A Flagger Canary.
    Flagger,
}

/// `traffic`: what carries the split.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Whose router; default service.
    pub provider: TrafficProvider,
    /// Name of the Service; default the manifest's own name.
    pub service: Arc<str>,
    /// The provider's own fields, as they were written.
    pub settings: Map<String, Value>,
}

impl Traffic {
    pub(super) fn read(spec: &Fields<'_>, name: &Arc<str>) -> Result<Self, SpecError> {
        let Some(section) = spec.get("traffic") else {
            let (provider, service) = (TrafficProvider::Service, Arc::clone(name));
            return Ok(Self { provider, service, settings: Map::new() });
        };
        let written = section.entries(MAX_SETTINGS)?;
        let keys: Vec<&str> = written.iter().map(|(key, _)| *key).collect();
        let fields = section.fields(&keys)?;
        let providers = [
            ("service", TrafficProvider::Service),
            ("istio", TrafficProvider::Istio),
            ("gateway-api", TrafficProvider::GatewayApi),
            ("flagger", TrafficProvider::Flagger),
        ];
        let provider = fields
            .read_or("provider", TrafficProvider::Service, |field| field.one_of("a provider", &providers))?;
        if provider == TrafficProvider::Service {
            section.fields(&["provider", "service"])?;
        }
        let service = fields.read_or("service", Arc::clone(name), Field::name)?;
        let own = written.iter().filter(|(key, _)| !matches!(*key, "provider" | "service"));
        let settings = own.map(|(key, field)| ((*key).to_owned(), field.value().clone())).collect();
        Ok(Self { provider, service, settings })
    }
}

/// `adopt: {deployment: NAME}`: a Deployment that becomes the first stable revision.
pub(super) fn adopt(spec: &Fields<'_>) -> Result<Option<Arc<str>>, SpecError> {
    spec.read("adopt", |field| {
        field.fields(&["deployment"])?.required(
            "deployment",
            "the name of an existing Deployment",
            Field::name,
        )
    })
}

/// `hooks`.
pub(super) fn hooks(spec: &Fields<'_>) -> Result<Vec<PlannedHook>, SpecError> {
    spec.read_or("hooks", Vec::new(), |field| field.list(MAX_HOOKS)?.iter().map(hook).collect())
}

fn hook(item: &Field<'_>) -> Result<PlannedHook, SpecError> {
    let fields = item.fields(&["on", "url", "timeout", "onFailure"])?;
    let points = [
        ("pre-deploy", HookPoint::PreDeploy),
        ("post-deploy", HookPoint::PostDeploy),
        ("pre-switch", HookPoint::PreSwitch),
        ("post-switch", HookPoint::PostSwitch),
        ("pre-phase", HookPoint::PrePhase),
        ("post-phase", HookPoint::PostPhase),
        ("smoke", HookPoint::Smoke),
        ("integration", HookPoint::Integration),
    ];
    let on = fields.required("on", "when it runs, like on: pre-deploy", |field| {
        field.one_of("a point of a rollout", &points)
    })?;
    let url = fields.required("url", "what is called, like http://host/path", Field::url)?;
    let timeout = fields.read_or("timeout", Millis::from_secs(30), Field::time_span)?;
    let reactions = [("abort", true), ("continue", false)];
    let aborts = fields.read_or("onFailure", true, |field| field.one_of("a reaction", &reactions))?;
    Ok(PlannedHook::new(on, url, timeout, aborts))
}
