//! Worlds: versions that behave and misbehave, commands, newer specs, and fault schedules.

use lifecycle_core::backend::Splitting;
use lifecycle_core::machine::CommandKind;
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::cluster::{Fault, HookBehaviour, Profile, Rate, Readiness};
use crate::simulate::{Happening, Initial, Scenario, What};

/// Which faults a schedule may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKinds {
    /// None.
    None,
    /// Every kind.
    All,
}

/// Worlds in which version 1.4.0 serves (or nothing does), 1.5.0 is asked for, and 1.6.0 may be later;
/// with up to four commands, newer specs or changes of behaviour and up to four faults in the first 15
/// minutes. Hooks at `http://hook/0` to `http://hook/3` pass, take their time, fail, or never answer.
pub fn scenarios(faults: FaultKinds) -> impl Strategy<Value = Scenario> {
    let most = if faults == FaultKinds::None { 0 } else { 4 };
    let cluster = (1u64..=40, 5u64..=200, 20u32..=500, any::<bool>());
    let versions = (profile(), profile());
    let said = vec((0u64..900_000, said()), 0..=4);
    let wrong = vec((0u64..900_000, fault()), 0..=most);
    let until = prop::option::weighted(0.1, (60u64..=1800).prop_map(Millis::from_secs));
    let hooks = vec(hook(), 4);
    (cluster, versions, prop::option::weighted(0.9, 1u32..=8), said, wrong, until, hooks).prop_map(
        |((start, latency, rps, weighted), (new, newer), initial, said, wrong, until, hooks)| {
            let mut scenario = Scenario::default();
            scenario.cluster.pod_start = Millis::from_secs(start);
            scenario.cluster.api_latency = Millis(latency);
            scenario.cluster.traffic = Rate::per_second(rps);
            scenario.cluster.splitting = if weighted { Splitting::Weighted } else { Splitting::Switch };
            scenario.versions.insert(Version::new(1, 5, 0), new);
            scenario.versions.insert(Version::new(1, 6, 0), newer);
            scenario.until = until;
            scenario.hooks =
                hooks.into_iter().enumerate().map(|(at, hook)| (hook_url(at).into(), hook)).collect();
            scenario.initial = initial.map(|replicas| Initial::new(Version::new(1, 4, 0), replicas));
            scenario.events = said
                .into_iter()
                .chain(wrong)
                .map(|(at, what)| Happening::new(Timestamp::from_millis(at), what))
                .collect();
            // what serves can serve again in the end, or no rollout could come to one
            let changed = scenario.events.iter().filter_map(|happening| match &happening.what {
                What::Set(version, profile) => Some((version.clone(), *profile)),
                _ => None,
            });
            let mended: Vec<Happening> = changed
                .map(|(version, profile)| What::Set(version, profile.ready(Readiness::AtOnce)))
                .map(|what| Happening::new(Timestamp::from_millis(1_500_000), what))
                .collect();
            scenario.events.extend(mended);
            scenario.events.sort_by_key(|happening| happening.at);
            scenario
        },
    )
}

/// Where the hooks of generated manifests are.
pub(super) fn hook_url(at: usize) -> String {
    format!("http://hook/{at}")
}

fn hook() -> impl Strategy<Value = HookBehaviour> {
    prop_oneof![
        6 => Just(HookBehaviour::default()),
        2 => (1u64..=60, any::<bool>())
            .prop_map(|(s, passes)| HookBehaviour::new(Millis::from_secs(s), passes)),
        1 => Just(HookBehaviour::silent()),
    ]
}

fn profile() -> impl Strategy<Value = Profile> {
    let error_rate = prop_oneof![4 => Just(0.001), 1 => Just(0.02), 1 => Just(0.5)];
    let p95 = prop_oneof![4 => Just(200u64), 1 => Just(900u64)];
    let ready = prop_oneof![
        4 => Just(Readiness::AtOnce),
        3 => (1u64..=25).prop_map(|s| Readiness::After(Millis::from_secs(s))),
        1 => Just(Readiness::Never),
        1 => (10u64..=60).prop_map(|s| Readiness::Flapping(Millis::from_secs(s))),
    ];
    (error_rate, p95, ready).prop_map(|(errors, p95, ready)| {
        Profile::default().error_rate(errors).latency(Millis(80), Millis(p95)).ready(ready)
    })
}

fn said() -> impl Strategy<Value = What> {
    prop_oneof![
        1 => Just(What::Command(CommandKind::Pause)),
        2 => Just(What::Command(CommandKind::Resume)),
        2 => Just(What::Command(CommandKind::Promote)),
        1 => Just(What::Command(CommandKind::PromoteFull)),
        2 => Just(What::Command(CommandKind::Abort)),
        2 => Just(What::Command(CommandKind::Retry)),
        2 => Just(What::Command(CommandKind::Rollback(None))),
        1 => Just(What::Command(CommandKind::Rollback(Some(Version::new(1, 4, 0))))),
        2 => (1u32..=8).prop_map(|n| What::Command(CommandKind::Scale(n))),
        3 => prop::sample::select(vec![4u64, 5, 6]).prop_map(|minor| What::Update(Version::new(1, minor, 0))),
        2 => (prop::sample::select(vec![4u64, 5, 6]), profile())
            .prop_map(|(minor, profile)| What::Set(Version::new(1, minor, 0), profile)),
    ]
}

fn fault() -> impl Strategy<Value = What> {
    let lasting = prop::sample::select(vec![
        Fault::ApiUnavailable,
        Fault::ApiConflict,
        Fault::StaleWatch,
        Fault::LostWrite,
        Fault::MetricsDown,
        Fault::RepeatedWrite,
        Fault::LateWrite,
    ]);
    prop_oneof![
        1 => (1u64..=600).prop_map(|s| What::CriticalAlert(Millis::from_secs(s))),
        1 => (prop::sample::select(vec![Fault::MetricsDown, Fault::ApiUnavailable]), 120u64..=1800)
            .prop_map(|(fault, s)| What::Fault(fault, Millis::from_secs(s))),
        5 => (lasting, 1u64..=120).prop_map(|(fault, s)| What::Fault(fault, Millis::from_secs(s))),
        2 => Just(What::Fault(Fault::PodKill, Millis::ZERO)),
        3 => (prop::option::of(0u64..40), 1u64..=30)
            .prop_map(|(after, s)| What::Crash { after, down: Millis::from_secs(s) }),
        // a forward jump of less than two heartbeats cannot be told from a tick that came late
        1 => prop_oneof![-3_600_000i64..-1000, 180_000i64..7_200_000].prop_map(What::ClockJump),
    ]
}
