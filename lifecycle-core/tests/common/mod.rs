//! What several test files share.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use lifecycle_core::backend::Record;
use lifecycle_core::machine::State;

/// The result of a future that never has to wait.
#[allow(clippy::panic, reason = "it fails the test that calls it")]
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

/// A record that can be told from others by its epoch.
pub(crate) fn record(epoch: u32) -> Record {
    let mut state = State::default();
    state.epoch = epoch;
    Record::of(state)
}
