//! Single observations: whatever a backend might say, true or not.

use lifecycle_core::backend::{GroupStatus, Reading, Signal, Token};
use lifecycle_core::machine::{Arm, Command, CommandKind, Desired, Measured, Observation, RouteSeen};
use lifecycle_core::plan::Mode;
use lifecycle_core::version::{Revision, RevisionNumber, Version};
use proptest::collection::vec;
use proptest::prelude::*;

fn version(minor: u64) -> Version {
    Version::new(1, minor, 0)
}

/// What a workload might say of one group, of versions 1.4.0 to 1.6.0: also what makes no sense.
pub fn group_statuses() -> impl Strategy<Value = GroupStatus> {
    (4u64..=6, 0u64..40, 0u32..12, 0u32..12, 0u32..12, 0u32..4, 0u32..5).prop_map(
        |(minor, token, desired, created, ready, terminating, attempts)| {
            let number = RevisionNumber(u32::try_from(minor - 3).unwrap_or(1));
            let mut status =
                GroupStatus::empty(Revision::new(number, version(minor).to_string(), version(minor)));
            status.token = Token(token);
            (status.desired, status.created) = (desired, created);
            (status.ready, status.available) = (ready, ready);
            (status.terminating, status.failed_attempts) = (terminating, attempts);
            status
        },
    )
}

/// Whatever might be seen in one step: with groups or without an answer, with measurements that make
/// sense or not, and with a command.
pub fn observations() -> impl Strategy<Value = Observation> {
    let desired = (4u64..=6, 1u32..=8, any::<bool>());
    let groups = prop::option::weighted(0.9, vec(group_statuses(), 0..4));
    let reading = prop_oneof![
        Just(Ok(Reading::NoData)),
        (0u64..2000, 0u64..100).prop_map(|(requests, failed)| Ok(Reading::Counts { requests, failed })),
        any::<f64>().prop_map(|value| Ok(Reading::Scalar(value))),
        Just(Err("the source is down".to_owned())),
    ];
    let health = vec((any::<bool>(), any::<bool>(), reading), 0..4);
    let command = prop::option::weighted(0.2, (0u32..6, 0usize..7, 0u32..9));
    (desired, groups, health, command).prop_map(|((minor, replicas, paused), groups, health, command)| {
        let mut observation = Observation::default();
        let hash = version(minor).to_string().into();
        observation.desired = Some(Desired::new(hash, version(minor), replicas, Mode::Ratio).paused(paused));
        observation.groups = groups;
        observation.route = RouteSeen::NoRouter;
        observation.health = health
            .into_iter()
            .map(|(stable, requests, reading)| {
                let signal = if requests { Signal::Requests } else { Signal::CriticalAlerts };
                Measured::new(signal, if stable { Arm::Stable } else { Arm::Canary }, reading)
            })
            .collect();
        observation.commands = command.into_iter().map(|(id, kind, n)| said(id, kind, n)).collect();
        observation
    })
}

fn said(id: u32, kind: usize, n: u32) -> Command {
    let kind = match kind {
        0 => CommandKind::Pause,
        1 => CommandKind::Resume,
        2 => CommandKind::Promote,
        3 => CommandKind::PromoteFull,
        4 => CommandKind::Abort,
        5 => CommandKind::Rollback(None),
        _ => CommandKind::Scale(n),
    };
    Command::new(format!("c{id}"), kind)
}
