//! A scenario from its text.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifecycle_core::backend::Splitting;
use lifecycle_core::machine::CommandKind;
use lifecycle_core::spec::field::{Field, Fields};
use lifecycle_core::spec::{MAX_REPLICAS, SpecError, document, parse_duration};
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::Version;

use super::field::{Outcome, by_version, percentage, rate};
use super::scenario::{DRIVER_DOWN, FAULT_SPAN, Happening, Initial, Scenario, What};
use crate::cluster::{ClusterConfig, Fault, HookBehaviour, Profile, Rate, Readiness};

/// More events than anybody writes.
const MAX_EVENTS: usize = 10_000;

/// More hooks than any manifest has.
const MAX_HOOKS: usize = 1000;

/// What errors call the document as a whole.
const NAME: &str = "scenario";

const KNOWN: [&str; 6] = ["cluster", "versions", "hooks", "initial", "events", "until"];

const BEHAVIOUR: [&str; 5] = ["errorRate", "latencyP50", "latencyP95", "ready", "capacityRps"];

pub(super) fn scenario(text: &str) -> Outcome<Scenario> {
    let value = document(text, NAME)?;
    let fields = Field::root(&value, NAME).fields(&KNOWN)?;
    let mut scenario = Scenario { cluster: cluster(&fields)?, ..Scenario::default() };
    if let Some(versions) = fields.get("versions") {
        for (version, field) in by_version(&versions)? {
            let profile = Profile::default().capacity(scenario.cluster.capacity);
            let profile = behaviour(&field.fields(&BEHAVIOUR)?, profile)?;
            if scenario.versions.insert(version, profile).is_some() {
                return Err(field.error("is the same version as another one here: write each once"));
            }
        }
    }
    scenario.hooks = fields.read_or("hooks", BTreeMap::new(), hooks)?;
    scenario.initial = fields.read("initial", initial)?;
    let events = fields.read_or("events", Vec::new(), |field| field.list(MAX_EVENTS))?;
    let mut now = scenario.clone();
    for field in events {
        let event = event(&field, &mut now)?;
        let last = scenario.events.last().map_or(Timestamp::ZERO, |last: &Happening| last.at);
        if event.at < last {
            let at = Millis(event.at.as_millis());
            let problem = format!(
                "{at} is before the {last} of the event before it: write events in the order of time"
            );
            return Err(SpecError::new(format!("{}.at", field.path()), problem));
        }
        scenario.events.push(event);
    }
    scenario.until = fields.read("until", Field::time_span)?;
    Ok(scenario)
}

fn cluster(fields: &Fields<'_>) -> Outcome<ClusterConfig> {
    let fields =
        fields.section("cluster", &["podStart", "apiLatency", "trafficRps", "router", "capacityRps"])?;
    let routers = [("weighted", Splitting::Weighted), ("replica-ratio", Splitting::Switch)];
    let mut config = ClusterConfig::default();
    config.pod_start = fields.read_or("podStart", config.pod_start, Field::duration)?;
    config.api_latency = fields.read_or("apiLatency", config.api_latency, Field::duration)?;
    config.traffic = fields.read_or("trafficRps", config.traffic, rate)?;
    config.splitting =
        fields.read_or("router", config.splitting, |field| field.one_of("a router", &routers))?;
    config.capacity = fields.read("capacityRps", capacity)?;
    Ok(config)
}

fn capacity(field: &Field<'_>) -> Outcome<Rate> {
    match rate(field)? {
        none if none == Rate::default() => {
            Err(field.error("0 requests a second is no capacity: write more, or leave it out for no limit"))
        }
        rate => Ok(rate),
    }
}

/// What a version does from now on; what is not written stays as it was. A median that is written
/// alone takes the 95th percentile with it, in the proportion of the default (2.5).
fn behaviour(fields: &Fields<'_>, was: Profile) -> Outcome<Profile> {
    let mut profile = was;
    profile.error_rate = fields.read_or("errorRate", was.error_rate, percentage)?;
    let p50 = fields.read("latencyP50", Field::time_span)?;
    let p95 = fields.read("latencyP95", Field::time_span)?;
    (profile.latency_p50, profile.latency_p95) = match (p50, p95) {
        (None, None) => (was.latency_p50, was.latency_p95),
        (Some(p50), Some(p95)) => (p50, p95),
        (Some(p50), None) => (p50, was.latency_p95.max(Millis(p50.get().saturating_mul(5) / 2))),
        (None, Some(p95)) => (was.latency_p50.min(Millis((p95.get() * 2 / 5).max(1))), p95),
    };
    if profile.latency_p95 < profile.latency_p50 {
        let problem =
            format!("{} is below the median latencyP50 of {}", profile.latency_p95, profile.latency_p50);
        return Err(fields.error_at("latencyP95", format!("{problem}: write at least that")));
    }
    profile.ready = fields.read_or("ready", was.ready, readiness)?;
    profile.capacity = fields.read("capacityRps", capacity)?.or(was.capacity);
    Ok(profile)
}

fn readiness(field: &Field<'_>) -> Outcome<Readiness> {
    let words: Vec<&str> = field.value().as_str().unwrap_or_default().split_whitespace().collect();
    let span = |text: &str| parse_duration(text).map_err(|error| field.error(error.to_string()));
    match words.as_slice() {
        ["never"] => Ok(Readiness::Never),
        ["after", d] => Ok(Readiness::After(span(d)?)),
        ["flapping", d] => match span(d)? {
            Millis::ZERO => {
                Err(field.error("flapping 0s is no time: write a duration longer than 0s, like flapping 30s"))
            }
            d => Ok(Readiness::Flapping(d)),
        },
        _ => {
            let wanted = "a readiness: accepted are never, after 20s and flapping 30s, with any duration";
            Err(field.expected(wanted))
        }
    }
}

fn hooks(field: &Field<'_>) -> Outcome<BTreeMap<Arc<str>, HookBehaviour>> {
    let entries = field.entries(MAX_HOOKS)?.into_iter();
    entries.map(|(url, field)| Ok((field.url_in(url)?, hook(&field)?))).collect()
}

fn hook(field: &Field<'_>) -> Outcome<HookBehaviour> {
    let fields = field.fields(&["takes", "passes", "answers"])?;
    if !fields.read_or("answers", true, Field::boolean)? {
        let why =
            "means nothing for a hook that does not answer: leave it away, or leave answers: false away";
        fields.without(&["takes", "passes"], why)?;
        return Ok(HookBehaviour::silent());
    }
    let takes = fields.read_or("takes", Millis::ZERO, Field::duration)?;
    Ok(HookBehaviour::new(takes, fields.read_or("passes", true, Field::boolean)?))
}

fn initial(field: &Field<'_>) -> Outcome<Initial> {
    let fields = field.fields(&["version", "replicas"])?;
    Ok(Initial::new(
        fields.required("version", "a version like version: 1.4.0", Field::version)?,
        fields.required("replicas", "a number like replicas: 10", |field| field.whole(1..=MAX_REPLICAS))?,
    ))
}

fn event(field: &Field<'_>, now: &mut Scenario) -> Outcome<Happening> {
    let fields = field.fields(&["at", "command", "set", "fault", "for", "version", "replicas"])?;
    let at = fields.required("at", "when it happens, like at: 5m", Field::duration)?;
    let kinds: Vec<Field<'_>> =
        ["command", "set", "fault"].iter().filter_map(|kind| fields.get(kind)).collect();
    let [kind] = kinds.as_slice() else {
        let problem = match kinds.len() {
            0 => "nothing happens: write one of command, set, fault",
            _ => "several things at once: write one of command, set, fault, and an event for each",
        };
        return Err(field.error(problem));
    };
    if fields.get("fault").is_none() {
        fields.without(&["for"], "only a fault lasts: accepted with fault alone")?;
    }
    let what = if fields.get("command").is_some() {
        command(kind, &fields)?
    } else {
        fields.without(&["version", "replicas"], "is no part of this event: accepted with command alone")?;
        if fields.get("fault").is_some() { fault(kind, &fields)? } else { set(kind, now)? }
    };
    Ok(Happening::new(Timestamp::from_millis(at.get()), what))
}

fn command(field: &Field<'_>, fields: &Fields<'_>) -> Outcome<What> {
    // the second is for a word that takes an argument
    let plain = |kind| (What::Command(kind), "");
    let words = [
        ("pause", plain(CommandKind::Pause)),
        ("resume", plain(CommandKind::Resume)),
        ("promote", plain(CommandKind::Promote)),
        ("promote-full", plain(CommandKind::PromoteFull)),
        ("abort", plain(CommandKind::Abort)),
        ("retry", plain(CommandKind::Retry)),
        ("rollback", (What::Command(CommandKind::Rollback(None)), "version")),
        ("scale", (What::Command(CommandKind::Scale(1)), "replicas")),
        ("update", (What::Update(Version::new(0, 0, 0)), "version")),
    ];
    let (what, takes) = field.one_of("a command", &words)?;
    if takes != "version" {
        fields.without(&["version"], "this command takes no version: accepted with rollback and update")?;
    }
    if takes != "replicas" {
        fields.without(&["replicas"], "this command takes no replicas: accepted with scale")?;
    }
    Ok(match what {
        What::Command(CommandKind::Rollback(_)) => {
            What::Command(CommandKind::Rollback(fields.read("version", Field::version)?))
        }
        What::Command(CommandKind::Scale(_)) => {
            let read = |field: &Field<'_>| field.whole(1..=MAX_REPLICAS);
            What::Command(CommandKind::Scale(fields.required(
                "replicas",
                "a number like replicas: 20",
                read,
            )?))
        }
        What::Update(_) => {
            What::Update(fields.required("version", "a version like version: 1.6.0", Field::version)?)
        }
        other => other,
    })
}

fn set(field: &Field<'_>, now: &mut Scenario) -> Outcome<What> {
    let known: Vec<&str> = std::iter::once("version").chain(BEHAVIOUR).collect();
    let fields = field.fields(&known)?;
    let version =
        fields.required("version", "whose behaviour changes, like version: 1.5.0", Field::version)?;
    if BEHAVIOUR.iter().all(|name| fields.get(name).is_none()) {
        let known = BEHAVIOUR.join(", ");
        return Err(field.error(format!("changes nothing: write one or more of {known}")));
    }
    let was = now.versions.get(&version).copied();
    let was = was.unwrap_or_else(|| Profile::default().capacity(now.cluster.capacity));
    let profile = behaviour(&fields, was)?;
    now.versions.insert(version.clone(), profile);
    Ok(What::Set(version, profile))
}

fn fault(field: &Field<'_>, fields: &Fields<'_>) -> Outcome<What> {
    let span = fields.read("for", Field::time_span)?;
    let lasting = span.unwrap_or(FAULT_SPAN);
    let words = [
        ("api-unavailable", What::Fault(Fault::ApiUnavailable, lasting)),
        ("api-conflict", What::Fault(Fault::ApiConflict, lasting)),
        ("stale-watch", What::Fault(Fault::StaleWatch, lasting)),
        ("lost-write", What::Fault(Fault::LostWrite, lasting)),
        ("pod-kill", What::Fault(Fault::PodKill, Millis::ZERO)),
        ("metrics-down", What::Fault(Fault::MetricsDown, lasting)),
        ("critical-alert", What::CriticalAlert(lasting)),
        ("driver-crash", What::Crash { after: None, down: span.unwrap_or(DRIVER_DOWN) }),
    ];
    field.one_of("a fault", &words)
}
