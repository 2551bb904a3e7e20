//! What is done to both clusters.

use std::fmt;

use fastrand::Rng;
use lifecycle_core::backend::{Route, RouteWish, ScaleWish, Token};
use lifecycle_core::plan::Weight;

use crate::model::Seen;
use crate::world::{DRAIN, NEVER, revision};

/// The revisions that there are; nothing is ever scaled up of the last one but in vain.
const REVISIONS: [u32; 3] = [1, 2, NEVER];
/// The largest size that is wished for.
const MOST: u32 = 3;

/// One thing that happens, by a wish or behind the engine's back.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A wish for a size.
    Scale(ScaleWish, Order),
    /// A wish for a route.
    Route(RouteWish, Order),
    /// A replica of this revision dies.
    Kill(u32),
    /// Somebody deletes a replica of this revision.
    Delete(u32),
    /// A replica of this revision fails its readiness from now on.
    Break(u32),
    /// Somebody changes the size of this revision.
    Resize(u32, u32),
    /// Whoever writes and looks starts again, and has forgotten everything.
    Restart,
}

/// How a wish comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// It is the newest.
    Newest,
    /// It is late: newer ones were sent before.
    Late,
    /// It was sent before.
    Again,
}

/// Hands out tokens, and remembers wishes. No two wishes have the same.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    drawn: u64,
    scales: Vec<ScaleWish>,
    routes: Vec<RouteWish>,
}

impl Tokens {
    /// Newer ones are a thousand apart; late ones lie between.
    fn draw(&mut self, chance: &mut Rng, order: Order) -> Token {
        self.drawn += 1;
        match order {
            Order::Late => Token(chance.u64(0..self.drawn) * 1000 + self.drawn),
            Order::Newest | Order::Again => Token(self.drawn * 1000),
        }
    }
}

impl Operation {
    /// Every kind that is drawn.
    pub(crate) const KINDS: [&str; 11] = [
        "scale",
        "late scale",
        "scale again",
        "route",
        "late route",
        "route again",
        "kill",
        "delete",
        "break",
        "resize",
        "restart",
    ];

    /// The next operation, of those that make sense as things are.
    pub(crate) fn draw(chance: &mut Rng, tokens: &mut Tokens, seen: &Seen) -> Self {
        let alive: Vec<u32> = REVISIONS.into_iter().filter(|&number| seen.created(number) > 0).collect();
        let known: Vec<u32> = REVISIONS.into_iter().filter(|&number| seen.is_known(number)).collect();
        // at first there is nothing that anything but a wish could happen to
        let kinds = match (known.is_empty(), alive.is_empty()) {
            (true, _) => 4,
            (_, true) => 9,
            _ => 13,
        };
        match chance.u32(0..kinds) {
            0..=3 => Self::scale(chance, tokens),
            4..=6 => Self::route(chance, tokens),
            7 => Self::Resize(pick(chance, &known), chance.u32(0..=MOST)),
            8 => Self::Restart,
            9 => Self::Kill(pick(chance, &alive)),
            10 => Self::Delete(pick(chance, &alive)),
            _ => Self::Break(pick(chance, &alive)),
        }
    }

    /// A wish for a size, of any order.
    pub(crate) fn scale(chance: &mut Rng, tokens: &mut Tokens) -> Self {
        let order = order(chance);
        if order == Order::Again && !tokens.scales.is_empty() {
            return Self::Scale(pick(chance, &tokens.scales), order);
        }
        let order = if order == Order::Again { Order::Newest } else { order };
        let (number, replicas) = (pick(chance, &REVISIONS), chance.u32(0..=MOST));
        let wish = ScaleWish::new(revision(number), replicas, tokens.draw(chance, order), DRAIN);
        tokens.scales.push(wish.clone());
        Self::Scale(wish, order)
    }

    fn route(chance: &mut Rng, tokens: &mut Tokens) -> Self {
        let order = order(chance);
        if order == Order::Again && !tokens.routes.is_empty() {
            return Self::Route(pick(chance, &tokens.routes), order);
        }
        let order = if order == Order::Again { Order::Newest } else { order };
        let side = |number: u32| (number > 0).then(|| revision(number));
        let route = match chance.u32(0..5) {
            0 => Route::Balanced,
            _ => Route::Split {
                stable: side(pick(chance, &[0, 1, 2, NEVER])),
                canary: side(pick(chance, &[0, 1, 2, NEVER])),
                // 50 is refused by a switch
                weight: Weight::new(pick(chance, &[0, 0, 50, 100, 100])).unwrap(),
            },
        };
        let wish = RouteWish::new(route, tokens.draw(chance, order));
        tokens.routes.push(wish.clone());
        Self::Route(wish, order)
    }

    /// One of [`Self::KINDS`].
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Scale(_, Order::Newest) => "scale",
            Self::Scale(_, Order::Late) => "late scale",
            Self::Scale(_, Order::Again) => "scale again",
            Self::Route(_, Order::Newest) => "route",
            Self::Route(_, Order::Late) => "late route",
            Self::Route(_, Order::Again) => "route again",
            Self::Kill(_) => "kill",
            Self::Delete(_) => "delete",
            Self::Break(_) => "break",
            Self::Restart => "restart",
            Self::Resize(..) => "resize",
        }
    }
}

fn order(chance: &mut Rng) -> Order {
    pick(chance, &[Order::Newest, Order::Newest, Order::Newest, Order::Late, Order::Again])
}

fn pick<T: Clone>(chance: &mut Rng, of: &[T]) -> T {
    of[chance.usize(0..of.len())].clone()
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Self::Scale(wish, _) => {
                write!(f, " {} to {} with {}", wish.revision.number.0, wish.replicas, wish.token)
            }
            Self::Route(wish, _) => match &wish.route {
                Route::Split { stable, canary, weight } => {
                    let number = |side: &Option<lifecycle_core::version::Revision>| {
                        side.as_ref().map(|it| it.number.0)
                    };
                    write!(f, " {:?}/{:?} at {weight} with {}", number(stable), number(canary), wish.token)
                }
                other => write!(f, " {other:?} with {}", wish.token),
            },
            Self::Kill(number) | Self::Delete(number) | Self::Break(number) => write!(f, " {number}"),
            Self::Restart => Ok(()),
            Self::Resize(number, replicas) => write!(f, " {number} to {replicas}"),
        }
    }
}
