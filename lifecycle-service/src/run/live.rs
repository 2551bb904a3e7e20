//! The live view on a terminal: the timeline scrolls, and below it stands what happens now, how long
//! it still takes at least, and what the checks say.

use std::io;
use std::time::Duration;

use anstream::adapter::strip_str;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use lifecycle_core::analysis::{CheckState, Finite, Measurement, Metric};
use lifecycle_core::machine::State;
use lifecycle_core::plan::Plan;
use lifecycle_core::report::{GroupLine, Line, Status};
use lifecycle_core::time::Millis;

use super::view::{Left, View, farewell};
use crate::exit::Exit;
use crate::output::{Color, Sink};
use crate::text::{Timeline, destination, phase_word};

/// The live view.
pub(super) struct Live {
    screen: MultiProgress,
    now: ProgressBar,
    bake: ProgressBar,
    checks: ProgressBar,
    timeline: Timeline<Vec<u8>>,
    colored: bool,
}

impl Live {
    pub(super) fn new(color: Color) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let line = |template: &str| {
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            screen.add(ProgressBar::new(1).with_style(style.progress_chars("█▌░")))
        };
        let now = line("\n{spinner} {wide_msg}");
        let bake = line("  {bar:30} {wide_msg}");
        let checks = line("  {wide_msg}");
        now.enable_steady_tick(Duration::from_millis(120));
        Self { now, bake, checks, screen, timeline: Timeline::new(Vec::new()), colored: color.is_wanted() }
    }

    fn scroll(&mut self) -> io::Result<()> {
        let bytes = self.timeline.take();
        let text = String::from_utf8_lossy(&bytes);
        let text = if self.colored { text.into_owned() } else { strip_str(&text).to_string() };
        text.lines().try_for_each(|line| self.screen.println(line))
    }
}

impl Sink for Live {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        self.timeline.line(line)?;
        self.scroll()
    }

    fn pass(&mut self, at_ms: u64) -> io::Result<()> {
        self.timeline.pass(at_ms)?;
        self.scroll()
    }

    fn close(&mut self) -> io::Result<()> {
        self.timeline.close()?;
        self.scroll()
    }
}

impl View for Live {
    fn moment(&mut self, plan: &Plan, state: &State, status: &Status) {
        self.now.set_message(headline(status));
        let (done, whole, text) = bake(plan, state);
        self.bake.set_length(whole.get().max(1));
        self.bake.set_position(done.get());
        self.bake.set_message(text);
        self.checks.set_message(checks(plan, state));
    }

    fn part(&mut self, exit: Exit, left: Left) -> io::Result<()> {
        self.close()?;
        for bar in [&self.now, &self.bake, &self.checks] {
            bar.finish_and_clear();
        }
        self.screen.println(farewell(exit, left))
    }
}

/// What happens now.
fn headline(status: &Status) -> String {
    let group = |name: &str, group: &Option<GroupLine>| match group {
        Some(group) => format!("  {name} {} {}/{}", group.version, group.ready, group.desired),
        None => String::new(),
    };
    let step = if status.step > 0 { format!(" {}/{}", status.step, status.steps) } else { String::new() };
    format!(
        "{}{step}  {}{}{}",
        phase_word(status.phase),
        destination(status),
        group("stable", &status.stable),
        group("canary", &status.canary),
    )
}

/// How far the step's bake is, of how much, and what that means for the rest.
fn bake(plan: &Plan, state: &State) -> (Millis, Millis, String) {
    match (state.is_active(), state.paused) {
        (true, _) => {}
        (false, Some(cause)) if state.next.is_some() => {
            let text = format!("{}; `lifecycle resume` starts it", cause.message());
            return (Millis::ZERO, Millis(1), text);
        }
        (false, _) => return (Millis(1), Millis(1), "the rollout has ended".to_owned()),
    }
    let hold = state.hold(plan);
    let baked = Millis(state.progress.baked.get().min(hold.bake.get()));
    // A first deployment has one step of its own.
    let after = plan.steps().iter().skip(state.progress.step + 1).filter(|_| state.stable.is_some());
    let after = after.fold(Millis::ZERO, |sum, hold| sum + hold.bake);
    let left = hold.bake.left(baked) + after;
    let doing = match state.paused {
        Some(cause) => cause.message().to_owned(),
        None if !state.progress.settled => "waiting for replicas and weight".to_owned(),
        None if hold.bake.left(baked).is_zero() && hold.approval => {
            "waiting for `lifecycle promote`".to_owned()
        }
        None => format!("{} of {}", whole_seconds(baked), whole_seconds(hold.bake)),
    };
    (baked, hold.bake, format!("{doing}, at least {} still", whole_seconds(left)))
}

/// What each check said last.
fn checks(plan: &Plan, state: &State) -> String {
    if !state.is_active() {
        return String::new();
    }
    let checks = plan.analysis().checks.iter().enumerate();
    let verdicts = checks.map(|(n, check)| {
        let last = state.progress.checks.get(n).and_then(|state: &CheckState| state.last);
        format!("{check}: {}", verdict(check.metric(), last))
    });
    verdicts.collect::<Vec<_>>().join("   ")
}

fn verdict(metric: &Metric, last: Option<Measurement>) -> String {
    match last {
        Some(Measurement::Pass(value)) => format!("{} ✓", shown(metric, value)),
        Some(Measurement::Fail(value)) => format!("{} ✗", shown(metric, value)),
        Some(Measurement::Waiting) if *metric == Metric::RequestRate => {
            "waiting for a whole window".to_owned()
        }
        Some(Measurement::Waiting) => "waiting for requests".to_owned(),
        Some(Measurement::NoData) => "no data".to_owned(),
        Some(Measurement::Inconclusive) => "inconclusive".to_owned(),
        Some(Measurement::Error(_)) => "cannot be measured".to_owned(),
        _ => "-".to_owned(),
    }
}

fn shown(metric: &Metric, value: Finite) -> String {
    match metric {
        Metric::ErrorRate | Metric::SuccessRate | Metric::Saturation => {
            format!("{:.2}%", value.get() * 100.0)
        }
        Metric::Latency(_) => format!("{:.0}ms", value.get() * 1000.0),
        Metric::RequestRate => format!("{:.1}/s", value.get()),
        _ => value.get().to_string(),
    }
}

fn whole_seconds(time: Millis) -> Millis {
    Millis::from_secs(time.get().div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use lifecycle_core::machine::Phase;
    use lifecycle_core::plan::{Hold, Mode, PlanBuilder, Weight};
    use lifecycle_core::version::Version;

    use super::*;

    #[test]
    fn what_is_left_of_a_first_deployment_is_its_one_window() {
        let step = |percent| Hold::new(Weight::new(percent).unwrap(), Millis::from_secs(600));
        let routed = Mode::Routed { dynamic_stable: false };
        let plan = PlanBuilder::new("canary", routed).step(step(10)).step(step(50)).build().unwrap();
        let mut state = State::serving(Version::new(1, 4, 0), "hash", 4);
        (state.phase, state.progress.settled) = (Phase::Progressing, true);
        assert_eq!(bake(&plan, &state).2, "0s of 10m, at least 20m still");
        state.stable = None;
        let window = plan.analysis().window;
        assert_eq!(bake(&plan, &state).2, format!("0s of {window}, at least {window} still"));
    }

    #[test]
    fn a_measurement_is_shown_in_its_unit() {
        let value = Finite::new(0.0123).unwrap();
        assert_eq!(verdict(&Metric::ErrorRate, Some(Measurement::Pass(value))), "1.23% ✓");
        assert_eq!(verdict(&Metric::Latency(950), Some(Measurement::Fail(value))), "12ms ✗");
        let rate = Finite::new(9.87).unwrap();
        assert_eq!(verdict(&Metric::RequestRate, Some(Measurement::Pass(rate))), "9.9/s ✓");
        assert_eq!(verdict(&Metric::Saturation, Some(Measurement::Pass(value))), "1.23% ✓");
        assert_eq!(verdict(&Metric::ErrorRate, Some(Measurement::Waiting)), "waiting for requests");
        assert_eq!(verdict(&Metric::ErrorRate, None), "-");
    }
}
