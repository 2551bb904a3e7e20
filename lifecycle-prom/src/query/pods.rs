//! Saturation and restarts: metrics of pods, which know their revision by their labels alone.
//!
//! What containers have is joined with the labels of their pods and added up by arm. What cannot be added up is counted beside it, so that
//! a part is never taken for the whole: [`Pods::missing`].

use lifecycle_core::backend::Mark;
use lifecycle_core::time::Millis;

use super::scope::Scope;
use super::selector::{Selector, duration, seconds};
use super::window::named;
use crate::answer::{LIMIT, SCRAPED, UNKNOWN, YOUNG};
use crate::metrics::{Metrics, PodMetrics};

/// What tells containers apart.
const CONTAINER: &str = "namespace, pod, container";

/// The pods of some arms.
pub(super) struct Pods<'a> {
    metrics: &'a Metrics,
    names: &'a PodMetrics,
    scope: &'a Scope,
    /// The trailing window.
    window: Millis,
    /// Its begin.
    begin: Mark,
}

impl<'a> Pods<'a> {
    pub(super) const fn new(
        metrics: &'a Metrics,
        names: &'a PodMetrics,
        scope: &'a Scope,
        window: Millis,
        until: Mark,
    ) -> Self {
        let begin = Mark(until.0.saturating_sub_unsigned(window.get()));
        Self { metrics, names, scope, window, begin }
    }

    /// How often containers were started again, by arm.
    pub(super) fn restarts(&self) -> String {
        let (x, w) = (self.of_containers(&self.names.restarts), duration(self.window));
        let by_container = |what: &str| format!("max by ({CONTAINER}) ({what})");
        let now = by_container(&x.to_string());
        let known_before = format!("{now} - {}", by_container(&format!("{x} offset {w}")));
        let created_since = format!("{now} and on (namespace, pod) ({})", self.young());
        let seen_since = format!("{now} - {}", by_container(&format!("min_over_time({x}[{w}])")));
        // (one that has begun anew under its name has restarted less often than before)
        let grown = format!("clamp_min(({known_before}) or ({created_since}) or ({seen_since}), 0)");
        let missing = format!("{} unless on (namespace, pod) {now}", self.owners());
        [self.sum(&grown), self.missing(&missing), self.scraped()].join(" or ")
    }

    /// The processor time that containers have used of what their limits are, by arm: both sums. A container without a limit is in
    /// neither of them.
    pub(super) fn saturation(&self) -> String {
        let cpu = self.of_containers(&self.names.cpu);
        let rate = format!("rate({cpu}[{}])", duration(self.window));
        // (a container that was started again has two series for a while)
        let used = format!("(sum by ({CONTAINER}) ({rate}) and count by ({CONTAINER}) ({cpu}))");
        let limits = self.of_containers(&self.names.limits).with("resource", "cpu");
        let limit = format!("max by ({CONTAINER}) ({limits} > 0)");
        let missing = format!("({limit} unless {used}) * {}", self.joined());
        [
            self.sum(&format!("({used} and {limit})")),
            named(LIMIT, &self.sum(&format!("({limit} and {used})"))),
            self.missing(&missing),
            self.scraped(),
        ]
        .join(" or ")
    }

    /// How many of these were not measured, by arm: of pods that are as young as the window, and of the others. Pods that do not run,
    /// or do not yet, have nothing that could be measured.
    fn missing(&self, missing: &str) -> String {
        let arms = self.names.of.listed();
        let at_rest = self.of_containers(&self.names.phase).like("phase", "Pending|Succeeded|Failed");
        let young = format!("on (namespace, pod) ({})", self.young());
        let missing = format!("({missing} unless on (namespace, pod) ({at_rest} == 1))");
        let count =
            |which, whose: &str| named(which, &format!("count by ({arms}) ({missing} {whose} {young})"));
        format!("{} or {}", count(UNKNOWN, "unless"), count(YOUNG, "and"))
    }

    /// Pods that were created in the window.
    fn young(&self) -> String {
        format!("{} >= {}", self.of_containers(&self.names.created), seconds(self.begin))
    }

    /// When the newest labels of pods were scraped, by arm.
    fn scraped(&self) -> String {
        let arms = self.names.of.listed();
        named(
            SCRAPED,
            &format!("max by ({arms}) (timestamp({}))", self.scope.of_pods(self.metrics, self.names)),
        )
    }

    /// The sum of what containers have, by arm.
    fn sum(&self, of_containers: &str) -> String {
        format!("sum by ({}) ({of_containers} * {})", self.names.of.listed(), self.joined())
    }

    /// The other side of a product that has the labels of the arms: 1 for each pod.
    fn joined(&self) -> String {
        let of = &self.names.of;
        let labels: Vec<&str> = of.agent.as_deref().into_iter().chain([&*of.revision]).collect();
        format!("on (namespace, pod) group_left ({}) {}", labels.join(", "), self.owners())
    }

    /// The pods, with the labels of the arms.
    fn owners(&self) -> String {
        format!("max by (pod, {}) ({})", self.names.of.listed(), self.scope.of_pods(self.metrics, self.names))
    }

    /// The series of this metric of all containers, or pods, where ours are.
    fn of_containers<'m>(&self, metric: &'m str) -> Selector<'m>
    where
        'a: 'm,
    {
        self.scope.of_namespaces(self.metrics, metric)
    }
}
