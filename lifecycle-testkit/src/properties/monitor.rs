//! Feeds every fact to every property.

use lifecycle_core::backend::{BackendResult, HealthQuery, Reading, Record, Route, RouteWish, ScaleWish};
use lifecycle_core::machine::{CommandKind, Phase};
use lifecycle_core::time::{Millis, Timestamp};

use super::view::View;
use super::{Fact, Violation, liveness as l, safety as s};

/// Violations that are kept; a broken property tends to stay broken.
const MAX_VIOLATIONS: usize = 16;

/// Checks every property after every fact.
#[derive(Debug, Default)]
pub struct Monitor {
    view: View,
    violations: Vec<Violation>,
    routes: Vec<Route>,
    /// When the current epoch began.
    started: Option<Timestamp>,
    /// When the current step was entered.
    entered: Option<Timestamp>,
    /// A person promoted (or rolled back) in this epoch.
    overruled: bool,
    /// A person promoted (or rolled back) since the last save.
    commanded: bool,
    /// The way back, while the rollout is on it.
    back: Option<WayBack>,
    /// Did the last look at the canary have data?
    with_data: bool,
    /// For how long the canary has had traffic and no data, by looks that followed each other.
    dark: Millis,
    looked_at: Option<Timestamp>,
    /// Writes with a new token since everything has been at rest.
    at_rest: bool,
    writes_at_rest: usize,
    sometimes: Sometimes,
}

/// The way back since it began.
#[derive(Clone, Copy, Debug)]
struct WayBack {
    effects: usize,
    /// The most replicas that were desired meanwhile.
    replicas: u32,
    /// Was stable whole all along?
    whole: bool,
    /// Did it begin after the last fault? (A replica that dies on the way costs effects.)
    undisturbed: bool,
}

/// Rare paths, and whether this run has taken them: a campaign in which one of them was never taken
/// has proven less than it seems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sometimes {
    /// The driver died while it was in this phase (healthy, progressing, promoting, aborting, degraded).
    pub crashed_in: [bool; 5],
    /// The command `abort` was given in this phase.
    pub aborted_in: [bool; 5],
    /// The way back began in this phase.
    pub went_back_from: [bool; 5],
    /// Another revision was asked for in this phase.
    pub superseded_in: [bool; 5],
    /// The driver died with this many effects of one tick applied (0, 1, 2 or more).
    pub crashed_after: [bool; 3],
    /// A rollout was promoted.
    pub promoted: bool,
    /// A rollout waited for a person.
    pub paused: bool,
}

impl Sometimes {
    /// What either of the two has seen.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let both = |a: [bool; 5], b: [bool; 5]| std::array::from_fn(|i| a[i] || b[i]);
        Self {
            crashed_in: both(self.crashed_in, other.crashed_in),
            aborted_in: both(self.aborted_in, other.aborted_in),
            went_back_from: both(self.went_back_from, other.went_back_from),
            superseded_in: both(self.superseded_in, other.superseded_in),
            crashed_after: std::array::from_fn(|i| self.crashed_after[i] || other.crashed_after[i]),
            promoted: self.promoted || other.promoted,
            paused: self.paused || other.paused,
        }
    }
}

const fn index(phase: Phase) -> usize {
    match phase {
        Phase::Healthy => 0,
        Phase::Progressing => 1,
        Phase::Promoting => 2,
        Phase::Aborting => 3,
        Phase::Degraded => 4,
    }
}

impl Monitor {
    /// A monitor that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The properties that were broken so far.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The rare paths that were taken so far.
    #[must_use]
    pub const fn sometimes(&self) -> Sometimes {
        self.sometimes
    }

    /// Takes one fact into account.
    pub fn see(&mut self, at: Timestamp, fact: Fact<'_>) {
        self.view.now = at;
        match fact {
            Fact::Target(target) => {
                self.at_rest = false;
                self.superseded(target.desired.hash.as_ref());
                self.find("S3", s::s3_something_can_move(&target.plan, target.desired.replicas));
                self.view.target = Some(target.clone());
            }
            Fact::Command(command) => {
                self.at_rest = false;
                if let (CommandKind::Abort, Some(state)) = (&command.kind, self.view.state()) {
                    self.sometimes.aborted_in[index(state.phase)] = true;
                }
                self.commanded |= matches!(
                    command.kind,
                    CommandKind::Promote | CommandKind::PromoteFull | CommandKind::Rollback(_)
                );
                self.overruled |= self.commanded;
            }
            Fact::Observed(statuses) => self.view.observe(statuses),
            Fact::RouteObserved(status) => self.view.observe_route(status),
            Fact::Measured { queries, readings } => self.measured(queries, readings),
            Fact::Saved(record) => self.saved(record),
            Fact::Scale(wish) => self.scale(wish),
            Fact::Route(wish) => self.route(wish),
            Fact::Hook(call) => self.find("S9", s::s9_hooks_are_for_the_canary(&self.view, call)),
            Fact::Alert(_) => {}
            Fact::World(world) => {
                self.at_rest = false;
                self.view.world.clone_from(world);
                self.find("S4", s::s4_routes_are_atomic(&self.view, &self.routes));
                self.find("S12", s::s12_recreate_is_exclusive(&self.view));
            }
            Fact::Crashed { applied } => {
                // what was not saved yet is lost: at most a minute
                self.dark = self.dark.left(Millis::from_secs(60));
                if let Some(state) = self.view.state() {
                    self.sometimes.crashed_in[index(state.phase)] = true;
                }
                self.sometimes.crashed_after[applied.min(2)] = true;
            }
            Fact::FaultsOver => self.view.faults_over = Some(at),
            Fact::End(end) => {
                self.find("L1", l::l1_the_desired_state_is_reached(&self.view, end));
                self.find("L2", l::l2_every_phase_has_a_deadline(&self.view));
                self.find("L8", l::l8_no_unready_revision_is_left(&self.view, end));
                self.find("L5", l::l5_no_writes_at_rest(self.writes_at_rest));
            }
        }
    }

    fn find(&mut self, property: &'static str, finding: s::Finding) {
        if let (Some(message), true) = (finding, self.violations.len() < MAX_VIOLATIONS) {
            self.violations.push(Violation { at: self.view.now, property, message });
        }
    }

    fn superseded(&mut self, hash: &str) {
        let Some(target) = &self.view.target else { return };
        if let (true, Some(state)) = (*target.desired.hash != *hash, self.view.state()) {
            self.sometimes.superseded_in[index(state.phase)] = true;
        }
    }

    fn measured(&mut self, queries: &[HealthQuery], readings: &[BackendResult<Reading>]) {
        let silent = |reading: &BackendResult<Reading>| {
            matches!(reading, Ok(Reading::NoData) | Err(_))
                || matches!(reading, Ok(Reading::Counts { requests: 0, .. }))
                || matches!(reading, Ok(Reading::Histogram(histogram)) if histogram.total() == 0)
        };
        // (that stable has no data at a weight of 100 is as it should be)
        let canary = self.view.canary().map(|revision| &revision.hash);
        let of_canary =
            queries.iter().zip(readings).filter(|(query, _)| Some(&query.revision.hash) == canary);
        let of_canary: Vec<_> = of_canary.map(|(_, reading)| reading).collect();
        self.with_data = !of_canary.is_empty() && !of_canary.iter().any(|reading| silent(reading));
        let dark = of_canary.into_iter().any(silent) && self.canary_has_traffic();
        // (while the driver cannot look, it cannot know)
        let gap = self.looked_at.map_or(Millis::ZERO, |at| self.view.now.since(at));
        let interval = self.view.plan().map_or(Millis::ZERO, |plan| plan.analysis().interval);
        self.looked_at = Some(self.view.now);
        self.dark = match dark {
            true if gap <= interval.times(3) => self.dark + gap,
            _ => Millis::ZERO,
        };
    }

    fn canary_has_traffic(&self) -> bool {
        let Some(canary) = self.view.canary() else { return false };
        match &self.view.route {
            Some(status) if self.view.is_routed() => {
                !super::view::share(&status.route, &canary.hash).is_zero()
            }
            _ => self.view.group(Some(canary)).is_some_and(|group| group.ready() > 0),
        }
    }

    fn saved(&mut self, record: &Record) {
        self.view.before = self.view.record.replace(record.clone());
        let state = &record.state;
        let old = self.view.before.as_ref().map(|before| &before.state);
        let new_epoch = old.is_none_or(|old| old.epoch != state.epoch);
        let turned = state.phase == Phase::Aborting && old.is_some_and(|old| old.phase != Phase::Aborting);
        let promoted =
            !new_epoch && old.is_some_and(|old| old.canary.is_some() && old.canary == state.stable);
        let new_step = new_epoch || old.is_some_and(|old| old.progress.step != state.progress.step);
        let from = old.map(|old| index(old.phase));

        self.sometimes.promoted |= promoted;
        self.sometimes.paused |= state.paused.is_some();
        if turned && let Some(from) = from {
            self.sometimes.went_back_from[from] = true;
        }
        let spent = self.entered.map(|entered| self.view.now.since(entered));
        self.find("S7", s::s7_numbers_only_grow(&self.view));
        self.find("S9", s::s9_failed_is_sticky(&self.view));
        self.find("S9", s::s9_no_data_is_never_a_pass(&self.view, self.with_data, self.overruled));
        self.find("S16", s::s16_steps_take_their_time(&self.view, spent, self.overruled));
        let since_start = self.started.map_or(Millis(u64::MAX), |at| self.view.now.since(at));
        self.find("S16", s::s16_deadlines_take_their_time(&self.view, since_start));
        self.find("L4", l::l4_going_back_is_at_once(&self.view));

        let resumed =
            self.view.before.as_ref().is_some_and(|old| old.state.paused.is_some()) && state.paused.is_none();
        if new_step || resumed || state.phase != Phase::Progressing {
            self.dark = Millis::ZERO;
        }
        self.find("L7", l::l7_no_data_pauses(&self.view, self.dark));
        if new_step {
            self.entered = Some(self.view.now);
            self.with_data = false;
        }
        if new_epoch {
            self.started = Some(self.view.now);
            // (a command may start a rollout and promote it in one step)
            self.overruled = state.progress.rollback || self.commanded;
        }
        if turned {
            self.back = Some(WayBack {
                effects: 0,
                replicas: state.replicas,
                whole: true,
                undisturbed: self.view.faults_over.is_some(),
            });
        }
        if state.phase != Phase::Aborting {
            self.back = None;
        }
        self.commanded = false;
        self.at_rest = !state.is_active()
            && state.next.is_none()
            && state.kept.is_none()
            && state.groups.iter().all(|group| {
                // (an older revision may still wait for stable to be whole before it goes)
                Some(group.revision) == state.stable
                    && group.wish == group.seen.created
                    && group.acked >= group.token
                    && group.seen.terminating == 0
            })
            && state.route.pending.is_empty();
    }

    fn effect(&mut self, is_new: bool) {
        if !is_new {
            return;
        }
        if self.at_rest {
            self.writes_at_rest += 1;
        }
        let wanted = self.view.state().map_or(0, |state| state.replicas);
        let whole = self.view.group(self.view.stable()).is_some_and(|group| group.surely_ready() >= wanted);
        let Some(back) = &mut self.back else { return };
        back.effects += 1;
        back.whole &= whole;
        back.replicas = back.replicas.max(wanted);
        let WayBack { effects, replicas, whole, undisturbed } = *back;
        if undisturbed && self.view.record.is_some() {
            self.find("L3", l::l3_the_way_back_is_short(&self.view, effects, replicas, whole));
        }
    }

    fn scale(&mut self, wish: &ScaleWish) {
        self.find("S1", s::s1_available_stay_above_the_floor(&self.view, wish));
        self.find("S2", s::s2_creates_stay_below_the_ceiling(&self.view, wish));
        self.find("S6", s::s6_drained_before_it_shrinks(&self.view, wish));
        self.find("S8", s::s8_replicas_keep_their_step(&self.view, wish));
        self.find("S10", s::s10_the_way_back_stays(&self.view, wish));
        let known = self.view.groups.get(&wish.revision.hash);
        let is_new = known.is_none_or(|group| {
            group.status.as_ref().is_none_or(|status| status.token < wish.token)
                && group.wishes.iter().all(|(token, _)| *token != wish.token)
        });
        self.effect(is_new);
        self.view.wish(wish);
    }

    fn route(&mut self, wish: &RouteWish) {
        self.find("S5", s::s5_weight_follows_readiness(&self.view, wish));
        self.find("S8", s::s8_weight_keeps_its_step(&self.view, wish));
        self.find("S11", s::s11_blue_green_switches_once(&self.view, wish));
        let is_new = self.view.asked.as_ref().is_none_or(|asked| asked.token != wish.token);
        self.effect(is_new);
        if !self.routes.contains(&wish.route) {
            self.routes.push(wish.route.clone());
        }
        self.view.wish_route(wish);
    }
}
