//! What will happen, in the order of time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use lifecycle_core::backend::{RouteWish, ScaleWish};
use lifecycle_core::time::Timestamp;

/// Something that will happen.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// A wish arrives.
    Scale(ScaleWish),
    /// A wish arrives.
    Route(RouteWish),
    /// The process of this replica runs.
    Start(u64),
    /// A probe of this replica changes something, if the look is still the valid one.
    Probe(u64, u32),
    /// This replica is gone.
    Gone(u64),
    /// The workload controller looks at this group.
    Reconcile(usize),
    /// Whoever watches should look.
    Notice,
}

impl Work {
    /// Is something on its way that will change the world?
    const fn is_moving(&self) -> bool {
        !matches!(self, Self::Probe(..) | Self::Notice)
    }
}

#[derive(Clone, Debug)]
struct Entry {
    at: Timestamp,
    /// Things of one time happen in the order in which they were scheduled.
    seq: u64,
    work: Work,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.seq).cmp(&(other.at, other.seq))
    }
}

/// What will happen, earliest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    seq: u64,
    moving: usize,
}

impl Queue {
    pub(super) fn push(&mut self, at: Timestamp, work: Work) {
        self.seq += 1;
        self.moving += usize::from(work.is_moving());
        self.heap.push(Reverse(Entry { at, seq: self.seq, work }));
    }

    /// When the next thing happens.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// The next thing, if it happens by then.
    pub(super) fn pop(&mut self, by: Timestamp) -> Option<(Timestamp, Work)> {
        if self.next()? > by {
            return None;
        }
        let Reverse(Entry { at, work, .. }) = self.heap.pop()?;
        self.moving -= usize::from(work.is_moving());
        Some((at, work))
    }

    /// Is a wish, a start or a stop on its way?
    pub(super) const fn is_moving(&self) -> bool {
        self.moving > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_in_the_order_of_time_and_then_of_scheduling() {
        let mut queue = Queue::default();
        for (ms, id) in [(30, 1), (10, 2), (30, 3), (20, 4)] {
            queue.push(Timestamp::from_millis(ms), Work::Start(id));
        }
        let mut ids = Vec::new();
        while let Some((_, Work::Start(id))) = queue.pop(Timestamp::from_millis(30)) {
            ids.push(id);
        }
        assert_eq!(ids, [2, 4, 1, 3]);
        assert!(!queue.is_moving());
    }

    #[test]
    fn nothing_happens_before_its_time() {
        let mut queue = Queue::default();
        queue.push(Timestamp::from_millis(10), Work::Notice);
        assert!(queue.pop(Timestamp::from_millis(9)).is_none());
        assert_eq!(queue.next(), Some(Timestamp::from_millis(10)));
    }
}
