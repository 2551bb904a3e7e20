//! Questions to Prometheus: which PromQL answers what the machine wants to know.
//!
//! # What is counted in a window
//! Prometheus' own `increase` is made for graphs: it extrapolates to the ends of the window, and of a
//! counter that is new it misses the first value, which for a first error is the error. A canary is
//! new by nature. So for each series the first of these that applies is taken:
//!
//! 1. The counter was reset in the window (its process started anew): Prometheus' `increase`,
//!    extrapolated and rounded, off by up to the requests of one scrape interval.
//! 2. It was there when the window began: its last value less its value then. Exact.
//! 3. It appeared in the window, and was not there in the 5 min before, on a target that had been scraped before without it, as
//!    the first error of a replica does: its last value. Exact.
//! 4. Else it is known only since its first scrape: its last value less its first. Exact from there on;
//!    what a replica did before it was scraped for the first time is not counted, be it good or bad.
//!
//! "Exact" is what the scrapes have seen. They see a request up to one scrape interval late, so both
//! ends of the window are that much early: with one scrape in 15 s and a window of 30 s, the requests
//! counted are those from 30 to 45 s ago up to 0 to 15 s ago, and all of that one or two seconds earlier, when
//! everything that was scraped has arrived ([`Clock`]). The third rule needs the series `up` with the
//! labels of the metrics; where they are not the target's own the fourth applies.
//!
//! No series at all, none with a scrape in the window, or none that is there still when the window ends, is no data: where the
//! scrapes of all replicas of a revision fail, or all of them are gone, what they have counted before says nothing about now.
//!
//! Where some of its replicas are still scraped, those that are not count up to their last scrape. One whose scrapes begin to
//! fail is not told apart from one that ends, as replicas do whenever fewer are wanted or a newer version takes their place: on its
//! way out it may fail scrapes for as long as it may take to end. So a revision of which only a part is scraped is no error; that
//! `up` is 0 for some targets is for an alert to say.
//!
//! Native histograms ([`Metrics::native_durations`](crate::Metrics::native_durations)) are exact since an earlier answer only. Over a window they are what
//! Prometheus' `increase` estimates: it does not subtract them in every version.
//!
//! # What is counted since an earlier answer
//! [`Span::Since`](lifecycle_core::backend::Span::Since) is for tests that add up what they are told, so here
//! nothing is estimated: of each series the difference between its values at both ends, or nothing of both arms. Everything
//! that scrapes have seen is counted once, and once only. For each series:
//!
//! | at the earlier mark | at the later one | counts |
//! |---|---|---|
//! | there | there | the difference |
//! | there | gone with its replica | up to its last scrape |
//! | not yet, and its target was scraped | there: a first error | all of it |
//! | not yet, and its process began after the mark or less than a minute before | there: a new replica | all of it |
//! | not yet, and neither was its target | there since its target's first scrape | what came after that scrape |
//!
//! A look for both arms has no count, and the next one begins at its end, when for any series
//! - it was reset in between, or its process began anew (a restart that no value shows is seen by [`Metrics::process_start`](crate::Metrics::process_start));
//! - the scrape of its target failed at one of the ends (one that fails in between loses nothing);
//! - it is of a native histogram and gone with its replica: only both ends of those can be read;
//! - it is new, and nothing says since when: its target has no `up`, or it was not there from the first scrape on;
//! - what is counted from is not what the answer before has ended with: see [`Ends`].
//!
//! Between two scrapes nothing is counted: that is a look with 0 requests, no error. A mark that is more than an hour old is too
//! old to count from. What replicas do that are never scraped nobody knows. Counters are whole numbers; fractions are
//! rounded in each answer.
//!
//! All of that is [one question](Question) for both arms, so that both end at the same mark, on the clock of Prometheus: see
//! [`Clock`]. While no replica comes or goes and nothing is reset it is a short one, and only where there is more to say the long one is
//! asked, too ([`Questions::more`]).
//!
//! # What is known of pods
//! [`PodMetrics`](crate::PodMetrics) are joined with the labels of the pods that there are now, over a trailing window alone. Of what was
//! deleted nothing is known.
//!
//! *Restarts* of a container are those since the window began; since its pod was created, where that is later; where neither is known,
//! since it was seen first. *Saturation* is the processor time that all containers have used, of what all their limits are; a container
//! without a limit does not count, and where there is no other there is no data. It takes two scrapes of the kubelets in the window.
//!
//! A part is never taken for the whole. Where a running pod, or a container with a limit, was not measured, there is no data as long
//! as the pod is younger than the window, and after that it is an error.

mod alertmanager;
mod clock;
mod ends;
mod joined;
mod native;
mod pods;
mod question;
mod questions;
mod replicas;
mod scope;
mod selector;
mod since;
mod template;
mod window;

pub use clock::{CLOCK, Clock};
pub use ends::Ends;
pub use joined::Joined;
pub use question::{Question, Server};
pub use questions::Questions;
pub use template::{Template, TemplateError};
