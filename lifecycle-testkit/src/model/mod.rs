//! The machine under an exhaustive model checker: every interleaving of ticks, crashes between any two
//! effects, lost, repeated and late writes, failing replicas, verdicts and commands, for small N.
//!
//! The model is the machine itself, not a description of it: each transition of the model calls
//! [`lifecycle_core::machine::step`]. Time is one tick a step. Worlds
//! that behave alike are one (`quotient`), so that the states are finite in number.

mod env;
mod judge;
mod plans;
mod quotient;
mod world;

use std::sync::Arc;

use lifecycle_core::backend::{Reading, Record, Signal};
use lifecycle_core::machine::{
    self, Action, Arm, Command, CommandKind, Desired, Measured, Observation, Phase, RouteSeen, State,
    Transition,
};
use lifecycle_core::plan::{Mode, Plan};
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::Version;
use stateright::{Model, Property};

use env::{Env, Write};
use plans::plan;
use quotient::{cut, representative};
pub use world::{Look, Move, World};
use world::{SAID, Said};

/// One tick of model time: the interval of analysis.
const TICK: Millis = Millis(1000);

/// Which rollout is checked, and how much may go wrong in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RolloutModel {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Desired replicas, 1 to 4.
    pub n: u32,
    /// Does the new version pass its checks, fail them, or either (the checker tries both)?
    pub verdicts: Verdicts,
    /// How many faults of all kinds a path may have.
    pub faults: u8,
    /// How many commands and newer specs a path may have.
    pub commands: u8,
    /// Is a version serving already?
    pub serving: bool,
}

/// What the checks may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdicts {
    /// Every look is a pass.
    Pass,
    /// Any look may be a pass, a fail, or without data.
    Any,
}

impl RolloutModel {
    /// The model of one of the four strategies (`rolling`, `blue-green`, `canary`,
    /// `canary-ratio`, `canary-dynamic`, `recreate`) on `n` replicas; `None` for another name.
    #[must_use]
    pub fn of(strategy: &str, n: u32, faults: u8, commands: u8) -> Option<Self> {
        let plan = Arc::new(plan(strategy)?);
        Some(Self { plan, n, verdicts: Verdicts::Any, faults, commands, serving: true })
    }

    /// The same, with nothing deployed yet.
    #[must_use]
    pub const fn first(mut self) -> Self {
        self.serving = false;
        self
    }
}

fn version(number: u8) -> Version {
    Version::new(u64::from(number), 0, 0)
}

pub(crate) fn hash(number: u8) -> Arc<str> {
    format!("v{number}").into()
}

impl RolloutModel {
    fn observe(&self, s: &World, look: Look, queries: &[(Arm, Signal)]) -> Observation {
        let mut observation = Observation::default();
        observation.desired = Some(Desired::new(hash(s.asked), version(s.asked), self.n, self.plan.mode()));
        observation.groups = Some(s.env.statuses());
        observation.route = match self.plan.mode() {
            Mode::Routed { .. } => RouteSeen::At(s.env.route.clone()),
            _ => RouteSeen::NoRouter,
        };
        observation.health = queries
            .iter()
            .map(|(arm, signal)| {
                let reading = match look {
                    Look::Pass => Reading::Counts { requests: 1000, failed: 0 },
                    Look::Fail => Reading::Counts { requests: 1000, failed: 500 },
                    Look::Dark => Reading::NoData,
                };
                Measured::new(signal.clone(), *arm, Ok(reading))
            })
            .collect();
        if let Some(said) = s.pending {
            let kind = match said {
                Said::Abort => CommandKind::Abort,
                Said::PromoteFull => CommandKind::PromoteFull,
                Said::Rollback => CommandKind::Rollback(None),
                Said::Pause => CommandKind::Pause,
                Said::Resume => CommandKind::Resume,
                Said::Retry => CommandKind::Retry,
            };
            observation.commands = vec![Command::new(format!("c{}", s.ids), kind)];
        }
        observation
    }

    /// Takes one step of the machine; the clock always shows one tick since the step before.
    fn step(&self, s: &World, look: Look) -> Transition {
        let now = Timestamp::ZERO + TICK;
        let queries: Vec<(Arm, Signal)> = machine::queries(&self.plan, &s.memory, now)
            .into_iter()
            .map(|(arm, query)| (arm, query.signal))
            .collect();
        machine::step(&self.plan, &s.memory, now, &self.observe(s, look, &queries))
    }

    fn tick(&self, s: &World, look: Look, dies_after: Option<usize>) -> World {
        let transition = self.step(s, look);
        let before = Record::new(s.memory.clone(), Some(Arc::clone(&self.plan)));
        let mut next = s.clone();
        next.env.pass_a_tick();
        next.memory = cut(transition.state);
        let after = Record::new(next.memory.clone(), Some(Arc::clone(&self.plan)));
        if transition.save {
            next.stored = next.memory.clone();
            next.pending = None;
        }
        let overruled = s.pending.is_some();
        next.broken = next.broken.or_else(|| judge::saved(&before, &after, overruled));
        for (sent, action) in transition.actions.iter().enumerate() {
            if dies_after.is_some_and(|limit| sent >= limit) {
                break;
            }
            next.broken = next.broken.or_else(|| judge::action(self, &s.memory, &after, &next.env, action));
            match action {
                Action::Scale(wish) => next.env.send(Write::Scale(wish.clone())),
                Action::Route(wish) => next.env.send(Write::Route(wish.clone())),
                Action::Notify(alert) => next.memory.alerts.retain(|known| known.key != alert.key),
                _ => {}
            }
        }
        if dies_after.is_some() {
            next.memory = next.stored.clone();
        }
        next
    }

    /// Without further faults, does the rollout come to rest where it should? (Properties L1, L2, L6.)
    fn comes_to_rest(&self, s: &World) -> bool {
        let mut s = s.clone();
        s.pending = None;
        for _ in 0..200 {
            while !s.env.writes.is_empty() {
                s.env.deliver(0, false);
            }
            s.env.all_ready_and_gone();
            if self.is_at_rest(&s) {
                return true;
            }
            if s.memory.paused.is_some() {
                // a person comes
                s.ids += 1;
                s.pending = Some(Said::Resume);
            }
            s = self.tick(&s, Look::Pass, None);
        }
        false
    }

    fn is_at_rest(&self, s: &World) -> bool {
        let state = &s.memory;
        let resting = matches!(state.phase, Phase::Healthy | Phase::Degraded)
            && state.next.is_none()
            && state.kept.is_none()
            && state.acted_on.as_deref() == Some(&*hash(s.asked));
        let stable = state.stable.and_then(|number| state.revision(number));
        resting
            && s.env.groups.iter().all(|(_, group)| {
                let is_stable = stable.is_some_and(|stable| stable.hash == group.revision.hash);
                // (what serves before anything was promoted is not taken away: S10)
                let serves = stable.is_none() && group.ready > 0;
                let whole = group.ready == self.n && group.created == self.n;
                if is_stable { whole } else { group.created == 0 || serves }
            })
    }
}

impl Model for RolloutModel {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        let (memory, env) = if self.serving {
            (State::serving(version(1), hash(1), self.n), Env::serving(self.n, version(1)))
        } else {
            (State::default(), Env::default())
        };
        vec![World {
            stored: memory.clone(),
            memory,
            env,
            asked: 2,
            faults: self.faults,
            commands: self.commands,
            ids: 0,
            pending: None,
            broken: None,
        }]
    }

    fn actions(&self, s: &World, moves: &mut Vec<Move>) {
        if s.broken.is_some() {
            return;
        }
        let asks = !machine::queries(&self.plan, &s.memory, Timestamp::ZERO + TICK).is_empty();
        let looks: &[Look] = match (asks, self.verdicts) {
            (true, Verdicts::Any) => &[Look::Pass, Look::Fail, Look::Dark],
            _ => &[Look::Pass],
        };
        for &look in looks {
            moves.push(Move::Tick { look, dies_after: None });
        }
        if s.faults > 0 {
            let effects = self.step(s, Look::Pass).actions.len();
            moves.extend((0..=effects).map(|sent| Move::Tick { look: Look::Pass, dies_after: Some(sent) }));
        }
        for at in 0..s.env.writes.len() {
            moves.push(Move::Deliver(at));
            if s.faults > 0 {
                moves.extend([Move::Lose(at), Move::Repeat(at)]);
            }
        }
        for (&number, group) in &s.env.groups {
            if group.ready < group.created {
                moves.push(Move::Ready(number));
            }
            if group.terminating > 0 {
                moves.push(Move::Gone(number));
            }
            if s.faults > 0 && group.ready > 0 {
                moves.push(Move::Kill(number));
            }
        }
        if s.commands > 0 {
            moves.extend([1, 3].into_iter().filter(|number| *number != s.asked).map(Move::Ask));
            if s.pending.is_none() {
                moves.extend((0..6).map(Move::Say));
            }
        }
    }

    fn next_state(&self, s: &World, action: Move) -> Option<World> {
        let mut next = s.clone();
        match action {
            Move::Tick { look, dies_after } => {
                let mut ticked = self.tick(s, look, dies_after);
                ticked.faults -= u8::from(dies_after.is_some());
                return Some(representative(ticked)).filter(|ticked| ticked != s);
            }
            Move::Deliver(at) => next.env.deliver(at, false),
            Move::Repeat(at) => {
                next.faults -= 1;
                next.env.deliver(at, true);
            }
            Move::Lose(at) => {
                next.faults -= 1;
                next.env.writes.remove(at);
            }
            Move::Ready(number) => next.env.group(number)?.ready += 1,
            Move::Gone(number) => next.env.group(number)?.terminating = 0,
            Move::Kill(number) => {
                next.faults -= 1;
                next.env.group(number)?.ready -= 1;
            }
            Move::Ask(number) => {
                next.commands -= 1;
                next.asked = number;
            }
            Move::Say(what) => {
                next.commands -= 1;
                next.ids += 1;
                next.pending = SAID.get(usize::from(what)).copied();
            }
        }
        if self.plan.mode() == Mode::Exclusive && next.memory.is_active() && next.broken.is_none() {
            let running =
                next.env.groups.values().filter(|group| group.created + group.terminating > 0).count();
            next.broken = (running > 1).then(|| "S12: old and new run together".to_owned());
        }
        Some(representative(next))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("S1 to S12: no decision breaks a safety property", |_, s: &World| {
                s.broken.is_none()
            }),
            Property::always("S14: a state comes back from its text", |_, s: &World| {
                serde_json::to_string(&s.stored)
                    .ok()
                    .and_then(|text| serde_json::from_str::<State>(&text).ok())
                    .is_some_and(|back| back == s.stored)
            }),
            Property::always("L1: without further faults it comes to rest", Self::comes_to_rest),
            Property::sometimes("promoted", |_, s: &World| {
                s.memory
                    .stable
                    .and_then(|number| s.memory.revision(number))
                    .is_some_and(|r| *r.hash == *hash(2))
            }),
            Property::sometimes("went back", |_, s: &World| s.memory.phase == Phase::Degraded),
        ]
    }
}
