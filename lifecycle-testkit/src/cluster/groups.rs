//! Replica groups and the controller that keeps their sizes.

use std::cmp::Reverse;

use lifecycle_core::backend::{GroupStatus, ScaleWish, Token};
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::{Revision, RevisionNumber};

use crate::properties::WorldGroup;

use super::pod::{Life, Pod, Probe};
use super::profile::{Latency, Profile};
use super::queue::{Queue, Work};
use super::stats::Stats;

/// One replica group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) revision: Revision,
    pub(super) profile: Profile,
    pub(super) latency: Latency,
    pub(super) stats: Stats,
    token: Token,
    pub(super) desired: u32,
    drain: Millis,
    created: u32,
    pub(super) ready: u32,
    terminating: u32,
    /// Replicas whose process runs and that are not ready.
    unready: u32,
    /// Failed verdicts, the most of any created replica, as far as they are accounted for.
    verdicts: u32,
}

/// All groups, and all replicas.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Never shrinks: an index stays good.
    pub(super) list: Vec<Group>,
    /// By rising id.
    pub(super) pods: Vec<Pod>,
    last_pod: u64,
    pod_start: Millis,
    pub(super) probe: Probe,
}

impl Groups {
    /// Replicas that were ever created.
    pub(super) const fn created(&self) -> u64 {
        self.last_pod
    }

    pub(super) fn new(pod_start: Millis, probe: Probe) -> Self {
        Self { pod_start, probe, ..Self::default() }
    }

    pub(super) fn find(&self, number: RevisionNumber) -> Option<usize> {
        self.list.iter().position(|group| group.revision.number == number)
    }

    /// The group of this revision, made when it is new.
    pub(super) fn add(&mut self, revision: &Revision, profile: Profile, now: i64) -> usize {
        self.find(revision.number).unwrap_or_else(|| {
            self.list.push(Group {
                revision: revision.clone(),
                latency: Latency::of(&profile),
                profile,
                stats: Stats::since(now),
                token: Token::default(),
                desired: 0,
                drain: Millis::ZERO,
                created: 0,
                ready: 0,
                terminating: 0,
                unready: 0,
                verdicts: 0,
            });
            self.list.len() - 1
        })
    }

    /// These many replicas of this group have run for a while before the origin.
    pub(super) fn add_veterans(&mut self, at: usize, replicas: u32, ran: Millis, queue: &mut Queue) {
        for _ in 0..replicas {
            self.last_pod += 1;
            let mut pod = Pod::veteran(self.last_pod, at, ran, self.probe);
            schedule(&mut pod, &self.list[at].profile, self.probe, queue);
            self.pods.push(pod);
        }
        let group = &mut self.list[at];
        group.desired = replicas;
        group.created = replicas;
        group.ready = replicas;
    }

    /// A wish arrives. Is it taken?
    pub(super) fn record(&mut self, at: usize, wish: &ScaleWish) -> bool {
        let group = &mut self.list[at];
        if wish.token < group.token {
            return false;
        }
        group.token = wish.token;
        group.desired = wish.replicas;
        group.drain = wish.drain;
        true
    }

    /// Creates what is missing, stops what is too much.
    pub(super) fn reconcile(&mut self, at: usize, now: Timestamp, queue: &mut Queue) {
        while self.list[at].created < self.list[at].desired {
            self.last_pod += 1;
            self.pods.push(Pod::new(self.last_pod, at));
            queue.push(now + self.pod_start, Work::Start(self.last_pod));
            self.list[at].created += 1;
        }
        let surplus = self.list[at].created.saturating_sub(self.list[at].desired) as usize;
        if surplus > 0 {
            let of_group = |pod: &Pod| pod.group == at && pod.is_created();
            let mut victims: Vec<usize> = (0..self.pods.len()).filter(|&i| of_group(&self.pods[i])).collect();
            // not ready first, then newest
            victims.sort_unstable_by_key(|&i| (self.pods[i].ready, Reverse(self.pods[i].id)));
            for &i in victims.iter().take(surplus) {
                self.stop(i, now, queue);
            }
            self.recount(at);
        }
    }

    pub(super) fn stop(&mut self, i: usize, now: Timestamp, queue: &mut Queue) {
        self.leave(i);
        let pod = &mut self.pods[i];
        pod.life = Life::Stopping;
        pod.ready = false;
        let group = &mut self.list[pod.group];
        group.terminating += 1;
        queue.push(now + group.drain, Work::Gone(pod.id));
    }

    /// A replica does not count as created any more.
    pub(super) fn leave(&mut self, i: usize) {
        let pod = &self.pods[i];
        let group = &mut self.list[pod.group];
        group.created -= 1;
        group.ready -= u32::from(pod.ready);
        group.unready -= u32::from(matches!(pod.life, Life::Running(_)) && !pod.ready);
    }

    /// Replicas have left: the most failed verdicts may have left with them.
    pub(super) fn recount(&mut self, at: usize) {
        if self.list[at].verdicts == 0 {
            return;
        }
        let verdicts =
            self.pods.iter().filter(|pod| pod.group == at && pod.is_created()).map(|pod| pod.verdicts);
        self.list[at].verdicts = verdicts.max().unwrap_or(0);
    }

    fn pod(&self, id: u64) -> Option<usize> {
        self.pods.binary_search_by_key(&id, |pod| pod.id).ok()
    }

    /// The process of a replica runs. Is it ready?
    pub(super) fn start(&mut self, id: u64, now: Timestamp, queue: &mut Queue) -> bool {
        let Some(i) = self.pod(id).filter(|&i| self.pods[i].life == Life::Starting) else { return false };
        let pod = &mut self.pods[i];
        let group = &mut self.list[pod.group];
        pod.start(now, group.profile.ready);
        group.ready += u32::from(pod.ready);
        group.unready += u32::from(!pod.ready);
        schedule(pod, &group.profile, self.probe, queue);
        pod.ready
    }

    /// A probe says something new. Did readiness change? `None` when the replica is gone.
    pub(super) fn probe(
        &mut self,
        id: u64,
        generation: u32,
        now: Timestamp,
        queue: &mut Queue,
    ) -> Option<bool> {
        let i =
            self.pod(id).filter(|&i| self.pods[i].generation == generation && self.pods[i].is_created())?;
        let at = self.pods[i].group;
        let changed = self.account(i, now);
        schedule(&mut self.pods[i], &self.list[at].profile, self.probe, queue);
        Some(changed)
    }

    pub(super) fn account(&mut self, i: usize, now: Timestamp) -> bool {
        let pod = &mut self.pods[i];
        let group = &mut self.list[pod.group];
        let before = pod.ready;
        pod.account(now, group.profile.ready, self.probe);
        group.verdicts = group.verdicts.max(pod.verdicts);
        match (before, pod.ready) {
            (false, true) => {
                group.ready += 1;
                group.unready -= 1;
            }
            (true, false) => {
                group.ready -= 1;
                group.unready += 1;
            }
            _ => {}
        }
        before != pod.ready
    }

    /// A replica is gone. Was it there?
    pub(super) fn gone(&mut self, id: u64) -> bool {
        let Some(i) = self.pod(id).filter(|&i| self.pods[i].life == Life::Stopping) else { return false };
        let pod = self.pods.remove(i);
        self.list[pod.group].terminating -= 1;
        true
    }

    /// The newest ready replica dies; answers with its group.
    pub(super) fn kill_newest(&mut self) -> Option<usize> {
        let i = self.pods.iter().rposition(|pod| pod.ready)?;
        self.leave(i);
        let at = self.pods.remove(i).group;
        self.recount(at);
        Some(at)
    }

    /// A version behaves differently from now on.
    pub(super) fn set_profile(&mut self, at: usize, profile: Profile, now: Timestamp, queue: &mut Queue) {
        for i in 0..self.pods.len() {
            if self.pods[i].group == at && self.pods[i].is_created() {
                self.account(i, now);
            }
        }
        self.list[at].latency = Latency::of(&profile);
        self.list[at].profile = profile;
        for pod in self.pods.iter_mut().filter(|pod| pod.group == at && pod.is_created()) {
            schedule(pod, &profile, self.probe, queue);
        }
    }

    /// Every group as its workload controller reports it.
    pub(super) fn statuses(&mut self, now: Timestamp) -> Vec<GroupStatus> {
        for at in 0..self.list.len() {
            if self.list[at].unready > 0 {
                for i in 0..self.pods.len() {
                    if self.pods[i].group == at && !self.pods[i].ready {
                        self.account(i, now);
                    }
                }
            }
        }
        self.list.iter().map(Group::status).collect()
    }

    /// Replicas that were not asked to stop, and ready ones, over all revisions.
    pub(super) fn totals(&self) -> (u32, u32) {
        self.list
            .iter()
            .fold((0, 0), |(created, ready), group| (created + group.created, ready + group.ready))
    }

    pub(super) fn world(&self, into: &mut Vec<WorldGroup>) {
        into.clear();
        into.extend(
            self.list
                .iter()
                .filter(|group| group.created > 0 || group.terminating > 0)
                .map(|g| WorldGroup::new(g.revision.clone(), g.created, g.ready, g.terminating)),
        );
    }
}

impl Group {
    fn status(&self) -> GroupStatus {
        let mut status = GroupStatus::empty(self.revision.clone());
        status.token = self.token;
        status.desired = self.desired;
        status.created = self.created;
        status.ready = self.ready;
        status.available = self.ready;
        status.terminating = self.terminating;
        status.failed_attempts = self.verdicts;
        status
    }
}

pub(super) fn schedule(pod: &mut Pod, profile: &Profile, probe: Probe, queue: &mut Queue) {
    if let Some(look) = pod.next_look(profile.ready, probe) {
        queue.push(look.at, Work::Probe(pod.id, look.generation));
    }
}
