//! Questions that are asked together.
//!
//! Rollouts that look at about the same time ask the same thing of different series. Whoever asks first waits a moment
//! for the others ([`PrometheusConfig::join_within`](super::PrometheusConfig::join_within)), the longer the more are asking, and as
//! long as there is no place for a question on its way; then all are asked as one, and everybody is handed what is theirs.
//!
//! What Prometheus refuses may be the fault of one of them. So each half of them is asked again at once, down to each alone, and only
//! those whose own question is refused are told an error. What is about the server is told to all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifecycle_core::backend::{BackendError, BackendResult, ErrorKind};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::call::{Caller, Failed, Request};
use crate::answer::{self, Answer};
use crate::query::{Joined, Question, Server};

/// How long fewer are asked together after so many were too much.
const CAUTION: Duration = Duration::from_secs(600);

/// How much longer a question waits for others for each that was asked in the second before: where there are many, a few
/// large ones cost less than many small ones.
const LONGER: Duration = Duration::from_millis(1);

/// The longest that a question waits for others. Looks are seconds apart.
const LONGEST: Duration = Duration::from_millis(250);

/// Asks one server, joining questions.
#[derive(Debug)]
pub(super) struct Joiner {
    caller: Caller,
    within: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    open: Vec<Open>,
    next: u64,
    size: Size,
    crowd: Crowd,
}

/// Questions that wait to be asked as one.
#[derive(Debug)]
struct Open {
    id: u64,
    members: Vec<Member>,
    /// The latest of theirs. Each of them waits until its own.
    deadline: Instant,
    full: Arc<Notify>,
}

/// One of them, and who waits for the answer.
#[derive(Debug)]
struct Member {
    question: Question,
    asker: oneshot::Sender<BackendResult<Arc<Answer>>>,
}

/// Some of them, which are asked as one.
#[derive(Debug)]
struct Part {
    members: Vec<Member>,
    /// What was asked for more of them, and why it was refused.
    half_of: Option<(Question, BackendError)>,
}

/// Tells all of them this error.
fn refuse(members: Vec<Member>, error: &BackendError) {
    for member in members {
        // who does not wait any more has gone
        drop(member.asker.send(Err(error.clone())));
    }
}

/// How many questions were asked, second by second.
#[derive(Debug, Default)]
struct Crowd {
    begun: Option<Instant>,
    now: u32,
    before: u32,
}

/// How many are asked together.
#[derive(Debug)]
struct Size {
    now: usize,
    most: usize,
    reduced: Option<Instant>,
}

impl Joiner {
    pub(super) fn new(caller: Caller, within: Duration, most: usize) -> Self {
        let size = Size { now: most, most, reduced: None };
        let state = State { open: Vec::new(), next: 0, size, crowd: Crowd::default() };
        Self { caller, within, state: Mutex::new(state) }
    }

    pub(super) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The answer to this question, maybe as a part of another one.
    pub(super) async fn ask(
        self: &Arc<Self>,
        question: &Question,
        deadline: Instant,
    ) -> BackendResult<Arc<Answer>> {
        let (asker, answer) = oneshot::channel();
        let alone = !question.joins(question) || self.lock().size.most <= 1;
        if alone {
            let place = self.caller.place_by(deadline).await?;
            let answer = self.send(question, deadline).await;
            drop(place);
            return answer.map(Arc::new).map_err(|failed| failed.error);
        }
        let first = self.lock().join(Member { question: question.clone(), asker }, deadline);
        if let Some((id, full, crowd)) = first {
            let joiner = Arc::clone(self);
            tokio::spawn(async move {
                let wait = (joiner.within + LONGER * crowd).min(joiner.within.max(LONGEST));
                // as many as may be, or all that have come
                drop(timeout(wait, full.notified()).await);
                joiner.ask_together(id).await;
            });
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => answer,
            // whoever asked for all of them has ended without a word: the runtime ends
            Ok(Err(_)) => {
                Err(BackendError::new("prometheus", "measure", ErrorKind::Transient, "not asked: ending"))
            }
            Err(_) => Err(self.caller.late()),
        }
    }

    /// Asks what has come together by the time that there is a place for it.
    async fn ask_together(self: Arc<Self>, id: u64) {
        let place = loop {
            let Some(until) = self.lock().deadline(id) else { return };
            let place = self.caller.place_by(until).await;
            // who came later may wait for longer
            if place.is_ok() || self.lock().deadline(id).is_none_or(|deadline| deadline <= until) {
                break place;
            }
        };
        let Some(Open { members, deadline, .. }) = self.lock().take(id) else { return };
        match place {
            Ok(_place) => self.ask_in_parts(members, deadline).await,
            Err(error) => refuse(members, &error),
        }
    }

    /// Asks for all of them; where that is refused for what may be one's, for each half of them, and so on down to each
    /// alone: fewer than twice as many questions as there are members, one after the other, and none when there is no time left for
    /// it. Then it is the error of all that is told.
    async fn ask_in_parts(&self, members: Vec<Member>, deadline: Instant) {
        let (mut longest, mut too_many, mut not_asked, mut alone) = (Duration::ZERO, None, None, false);
        let mut parts = VecDeque::from([Part { members, half_of: None }]);
        while let Some(Part { mut members, half_of }) = parts.pop_front() {
            // who does not wait any more has gone
            members.retain(|member| !member.asker.is_closed());
            let all = members.len();
            let Some(joined) = Joined::new(members.iter().map(|member| member.question.clone()).collect())
            else {
                refuse(members, &self.caller.late());
                continue;
            };
            let begun = Instant::now();
            if let Some((question, error)) = half_of {
                // what is no smaller is no other question
                let same = question == *joined.question();
                // one that is late would count as a failure of the server
                let no_time = deadline.saturating_duration_since(begun) <= longest * 2;
                if no_time && !same {
                    not_asked = Some(not_asked.map_or(all, |fewest: usize| fewest.min(all)));
                }
                if no_time || same {
                    refuse(members, &error);
                    continue;
                }
            }
            let Failed { error, too_much, of_a_part } = match self.send(joined.question(), deadline).await {
                Ok(answer) => {
                    for (member, answer) in members.into_iter().zip(joined.hand_out(answer)) {
                        drop(member.asker.send(Ok(answer)));
                    }
                    continue;
                }
                Err(failed) => failed,
            };
            longest = longest.max(begun.elapsed());
            alone |= all == 1;
            if too_much {
                too_many = Some(too_many.map_or(all, |fewest: usize| fewest.min(all)));
            }
            if all == 1 || !of_a_part {
                refuse(members, &error);
                continue;
            }
            let others = members.split_off(all / 2);
            for members in [members, others] {
                let half_of = Some((joined.question().clone(), error.clone()));
                parts.push_back(Part { members, half_of });
            }
        }
        // where one is too much by itself it is not that there were too many
        let too_many = too_many.filter(|_| !alone);
        // the next look begins with parts for which there was no time
        for many in too_many.into_iter().chain(not_asked.map(|fewest| fewest * 2)) {
            self.lock().size.reduce(many, Instant::now());
        }
    }

    async fn send(&self, question: &Question, deadline: Instant) -> Result<Answer, Failed> {
        let (path, parameters) = (question.path(), question.parameters());
        match question.server() {
            Server::Alertmanager => {
                self.caller.ask(Request::Get(path, &parameters), answer::read_alerts, deadline).await
            }
            Server::Prometheus => {
                self.caller.ask(Request::Form(path, &parameters), answer::read, deadline).await
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds this question to those that wait. When it is the first of its kind: the number of those that wait with it from
    /// now on, what says when they are as many as may be, and how many have asked lately.
    fn join(&mut self, member: Member, deadline: Instant) -> Option<(u64, Arc<Notify>, u32)> {
        let now = Instant::now();
        let (most, crowd) = (self.size.at(now), self.crowd.asked(now));
        let fits = |open: &&mut Open| {
            let first = open.members.first();
            open.members.len() < most && first.is_some_and(|first| first.question.joins(&member.question))
        };
        if let Some(open) = self.open.iter_mut().find(fits) {
            open.members.push(member);
            open.deadline = open.deadline.max(deadline);
            if open.members.len() >= most {
                open.full.notify_one();
            }
            return None;
        }
        let (id, full) = (self.next, Arc::new(Notify::new()));
        self.next = self.next.wrapping_add(1);
        self.open.push(Open { id, members: vec![member], deadline, full: Arc::clone(&full) });
        Some((id, full, crowd))
    }

    /// Until when somebody waits for these.
    fn deadline(&self, id: u64) -> Option<Instant> {
        self.open.iter().find(|open| open.id == id).map(|open| open.deadline)
    }

    fn take(&mut self, id: u64) -> Option<Open> {
        let at = self.open.iter().position(|open| open.id == id)?;
        Some(self.open.swap_remove(at))
    }
}

impl Size {
    /// How many may be asked together now.
    fn at(&mut self, now: Instant) -> usize {
        if self.reduced.is_some_and(|at| now.saturating_duration_since(at) >= CAUTION) {
            *self = Self { now: (self.now * 2).min(self.most), most: self.most, reduced: Some(now) };
        }
        self.now
    }

    /// So many were too much.
    fn reduce(&mut self, many: usize, now: Instant) {
        self.now = self.now.min((many / 2).max(1));
        self.reduced = Some(now);
    }
}

impl Crowd {
    /// One more; how many there were in this second or the one before.
    fn asked(&mut self, at: Instant) -> u32 {
        let age = self.begun.map(|begun| at.saturating_duration_since(begun));
        if age.is_none_or(|age| age >= Duration::from_secs(1)) {
            let just_before = age.is_some_and(|age| age < Duration::from_secs(2));
            *self = Self { begun: Some(at), now: 0, before: if just_before { self.now } else { 0 } };
        }
        self.now = self.now.saturating_add(1);
        self.now.max(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crowd_is_that_of_this_second_or_the_one_before() {
        let (mut crowd, begin) = (Crowd::default(), Instant::now());
        let mut asked = |ms| crowd.asked(begin + Duration::from_millis(ms));
        assert_eq!([asked(0), asked(10), asked(900)], [1, 2, 3]);
        assert_eq!([asked(1100), asked(1200)], [3, 3]);
        assert_eq!([asked(1300), asked(1400)], [3, 4]);
        // nobody for a while
        assert_eq!([asked(9000), asked(10_500)], [1, 1]);
    }

    #[test]
    fn fewer_are_asked_together_after_so_many_were_too_much() {
        let begin = Instant::now();
        let mut size = Size { now: 100, most: 100, reduced: None };
        assert_eq!(size.at(begin), 100);
        size.reduce(60, begin);
        assert_eq!(size.at(begin), 30);
        // an older one that was larger
        size.reduce(90, begin);
        assert_eq!(size.at(begin + CAUTION / 2), 30);
        assert_eq!((size.at(begin + CAUTION), size.at(begin + CAUTION * 3 / 2)), (60, 60));
        assert_eq!((size.at(begin + CAUTION * 2), size.at(begin + CAUTION * 9)), (100, 100));
        size.reduce(1, begin + CAUTION * 9);
        assert_eq!(size.at(begin + CAUTION * 9), 1);
    }
}
