//! What evidence looks like: whole rollouts by the sequential judge, look by look, drawn as SVG. Run it with
//! `cargo run -p lifecycle-examples --example evidence -- canaries docs/evidence.svg`, or with
//! `outage docs/evidence-outage.svg`. Without a file it writes to standard output.
//!
//! The evidence is computed here once more, from what the machine was shown: whoever has the counts of two versions can
//! do the same with `lifecycle_core::stats`, without a rollout. It has to lead to the machine's own decision.

use std::error::Error;
use std::fmt::Write as _;

use lifecycle_core::backend::{Counted, Increase, Mark, Reading, Signal};
use lifecycle_core::driver::Tick;
use lifecycle_core::machine::{Arm, EventKind, State};
use lifecycle_core::spec::Manifest;
use lifecycle_core::stats::{Alpha, Counts, Evidence, GridTest, Look, ObjectiveTest, StatsError};
use lifecycle_core::time::Timestamp;
use lifecycle_testkit::simulate::{Scenario, Simulation, Watch};

/// Of a version as good as stable, so many rollouts go back at the most.
const ALPHA: f64 = 0.01;

/// Minutes of the one step.
const BAKE: u64 = 30;

/// There is one check and one gate, which has the whole of alpha.
const MANIFEST: &str = "{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {name: api},
    spec: {version: 1.5.0, strategy: canary, replicas: 10, canary: {steps: [{setWeight: 10, bake: BAKEm}]},
    analysis: {sequential: {alpha: ALPHA}, checks: ['error_rate <= BOUND']}}}";

/// 100 requests a second, 10 of them to the canary.
const SCENARIO: &str = "{cluster: {podStart: 20s, trafficRps: 100}, initial: {version: 1.4.0, replicas: 10},
    versions: {1.4.0: {errorRate: STABLE}, 1.5.0: {errorRate: CANARY}}, events: [EVENTS]}";

/// From minute 10 to minute 13 both versions fail in 20 % of their requests. (The canary's first request comes after the
/// 20 s in which its replica starts.)
const OUTAGE: &str =
    "{at: 620s, set: {version: 1.4.0, errorRate: 20%}}, {at: 620s, set: {version: 1.5.0, errorRate: 20%}},
    {at: 800s, set: {version: 1.4.0, errorRate: 0.1%}}, {at: 800s, set: {version: 1.5.0, errorRate: 0.1%}}";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let plot = match words.first() {
        Some(&"canaries") => canaries()?,
        Some(&"outage") => outage()?,
        _ => return Err("usage: evidence canaries|outage [FILE]".into()),
    };
    match words.get(1) {
        Some(file) => std::fs::write(file, plot.svg()?)?,
        None => print!("{}", plot.svg()?),
    }
    Ok(())
}

/// Four canaries, each against its stable version.
fn canaries() -> Result<Plot, Box<dyn Error>> {
    let canaries = [("1%", "0.1%"), ("0.3%", "0.1%"), ("0.1%", "0.1%"), ("1.2%", "1.2%")];
    let curve = |(canary, stable): (&str, &str)| {
        Curve::of(
            &format!("canary {canary}, stable {stable}"),
            "1x stable",
            [stable, canary, ""],
            against_stable,
        )
    };
    Ok(Plot {
        title: "Evidence against four canaries",
        about: "requests that fail; 10 requests a second to the canary, 90 to stable, a look every 10 s",
        curves: canaries.into_iter().map(curve).collect::<Result<_, _>>()?,
        band: None,
    })
}

/// The same canary and the same outage of something that both versions call, under two checks.
fn outage() -> Result<Plot, Box<dyn Error>> {
    let rates = ["0.1%", "0.1%", OUTAGE];
    Ok(Plot {
        title: "An outage that hits both versions",
        about: "canary and stable fail in 0.1 % of their requests, and in 20 % of them for three minutes",
        curves: vec![
            Curve::of("check: at most 1 %", "1%", rates, against_one_percent)?,
            Curve::of("check: at most 1x stable", "1x stable", rates, against_stable)?,
        ],
        band: Some((10.0, 13.0)),
    })
}

/// The test of a check, with this temper.
type Make = fn(f64) -> Result<Test, StatsError>;

fn against_stable(temper: f64) -> Result<Test, StatsError> {
    Ok(Test::AgainstStable(GridTest::of_rates(1.0, temper)?, Evidence::default()))
}

fn against_one_percent(temper: f64) -> Result<Test, StatsError> {
    Ok(Test::AgainstNumber(ObjectiveTest::new(0.01, temper)?, Counts::default()))
}

/// The test that the judge makes of a check, with what it has seen.
enum Test {
    AgainstStable(GridTest, Evidence),
    AgainstNumber(ObjectiveTest, Counts),
}

impl Test {
    /// ln E after this look; `None` while an arm that counts has no answer.
    fn look(&mut self, canary: Counts, stable: Option<Counts>) -> Option<f64> {
        match self {
            Self::AgainstStable(test, evidence) => Some(test.look(evidence, Look::new(canary, stable?))),
            Self::AgainstNumber(test, total) => {
                *total = total.and(canary);
                Some(test.ln_e(*total))
            }
        }
    }
}

/// Looks on while a rollout is simulated.
struct Looks {
    make: Make,
    begun: Option<(Mark, Test)>,
    temper: f64,
    /// Minutes since the canary's first request, and ln E then.
    points: Vec<(f64, f64)>,
    /// Requests of the canary that failed.
    failed: u64,
    went_back: bool,
}

impl Watch for Looks {
    fn ticked(&mut self, _at: Timestamp, tick: &Tick, state: &State) {
        self.went_back |= tick.events.iter().any(|event| matches!(event.kind, EventKind::GoingBack { .. }));
        let of = |arm| {
            tick.observation.health.iter().find_map(|said| match &said.reading {
                Ok(Reading::Increase(increase)) if said.arm == arm && said.signal == Signal::Requests => {
                    Some(increase)
                }
                _ => None,
            })
        };
        let Some(canary) = of(Arm::Canary) else { return };
        let Some((begun, test)) = &mut self.begun else {
            // the first answer is the mark from which is counted; the temper was measured before it
            let judged = state.progress.checks.first().and_then(|check| check.sequential.as_deref());
            self.temper = judged.and_then(|judged| judged.temper).map_or(1.0, |temper| temper.eta.get());
            self.begun = (self.make)(self.temper).ok().map(|test| (canary.until, test));
            return;
        };
        let Some(ours) = counts(canary) else { return };
        let theirs = of(Arm::Stable).and_then(counts);
        if let Some(ln_e) = test.look(ours, theirs) {
            self.failed += ours.failed;
            self.points.push(((canary.until.0 - begun.0) as f64 / 60_000.0, ln_e));
        }
    }
}

fn counts(increase: &Increase) -> Option<Counts> {
    match increase.counted.as_ref()? {
        Counted::Requests(counts) => Some(*counts),
        _ => None,
    }
}

/// The evidence of one rollout.
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
    went_back: bool,
}

impl Curve {
    /// Simulates a rollout with this bound, and these rates of stable and canary and events.
    fn of(name: &str, bound: &str, rates: [&str; 3], make: Make) -> Result<Self, Box<dyn Error>> {
        let [stable, canary, events] = rates;
        let manifest = MANIFEST.replace("BOUND", bound).replace("BAKE", &BAKE.to_string());
        let manifest = Manifest::from_yaml(&manifest.replace("ALPHA", &ALPHA.to_string()))?;
        let scenario = SCENARIO.replace("STABLE", stable).replace("CANARY", canary);
        let scenario = Scenario::from_yaml(&scenario.replace("EVENTS", events))?;
        let mut looks =
            Looks { make, begun: None, temper: 1.0, points: Vec::new(), failed: 0, went_back: false };
        let outcome = Simulation::new(&manifest.spec, &scenario, 0)?.run_with(&mut looks);

        let Looks { temper, points, failed, went_back, .. } = looks;
        let (last, ln_e) = points.last().copied().ok_or("no look was taken")?;
        let needed = Alpha::new(ALPHA)?.ln_needed();
        if went_back != (ln_e >= needed) {
            return Err(
                format!("{name}: ln E is {ln_e:.2}, and the machine ended {}", outcome.outcome).into()
            );
        }
        let ending = match went_back {
            true => format!("goes back after {last:.1} min, {failed} failed requests"),
            false => format!("passes, E at most {:.2}", most(&points).exp()),
        };
        Ok(Self { name: format!("{name}, temper {temper:.2}: {ending}"), points, went_back })
    }
}

fn most(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|(_, ln_e)| *ln_e).fold(f64::NEG_INFINITY, f64::max)
}

/// Curves of E over minutes.
struct Plot {
    title: &'static str,
    about: &'static str,
    curves: Vec<Curve>,
    /// Minutes that are shaded.
    band: Option<(f64, f64)>,
}

/// The plot within the picture, in pixels.
const LEFT: f64 = 70.0;
const TOP: f64 = 64.0;
const WIDTH: f64 = 660.0;
const HEIGHT: f64 = 300.0;

/// A line of the legend.
const ROW: f64 = 22.0;

/// Colours that differ in lightness too, and dashes for whoever sees no colours.
const STYLE: &str = "<style>
.canvas{fill:#fff}.frame{fill:none;stroke:#59636e}.grid{stroke:#d1d9e0}.band{fill:#eff2f5}.needed{stroke:#1f2328;stroke-width:1.5}
text{fill:#1f2328;font:13px system-ui,sans-serif}.title{font-size:16px;font-weight:600}.end{text-anchor:end}.middle{text-anchor:middle}
.c0,.c1,.c2,.c3{fill:none;stroke-width:2}.c1{stroke-dasharray:9 3}.c2{stroke-dasharray:2 3}.c3{stroke-dasharray:9 3 2 3}
.c0{stroke:#bc4c00}.c1{stroke:#9a6700}.c2{stroke:#0969da}.c3{stroke:#8250df}
@media (prefers-color-scheme:dark){.canvas{fill:#0d1117}.frame{stroke:#9198a1}.grid{stroke:#30363d}.band{fill:#21262d}
.needed{stroke:#f0f6fc}text{fill:#f0f6fc}.c0{stroke:#ffa657}.c1{stroke:#e3b341}.c2{stroke:#58a6ff}.c3{stroke:#bc8cff}}
</style>";

impl Plot {
    fn svg(&self) -> Result<String, std::fmt::Error> {
        let (lowest, highest) = self.decades();
        let x = |minutes: f64| LEFT + WIDTH * minutes / BAKE as f64;
        let y = |ten: f64| TOP + HEIGHT * (f64::from(highest) - ten) / f64::from(highest - lowest);
        let (bottom, right) = (TOP + HEIGHT, LEFT + WIDTH);
        let legend = bottom + 66.0;
        let (wide, high) = (right + 30.0, legend + ROW * self.curves.len() as f64);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" role=\"img\">\n"
        );
        writeln!(svg, "<title>{}</title>\n{STYLE}", self.title)?;
        writeln!(svg, "<rect class=\"canvas\" width=\"{wide}\" height=\"{high}\"/>")?;
        writeln!(svg, "<text class=\"title\" x=\"{LEFT}\" y=\"26\">{}</text>", self.title)?;
        writeln!(svg, "<text x=\"{LEFT}\" y=\"48\">{}</text>", self.about)?;
        if let Some((from, to)) = self.band {
            let (x, width) = (x(from), x(to) - x(from));
            writeln!(
                svg,
                "<rect class=\"band\" x=\"{x:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{HEIGHT}\"/>"
            )?;
        }
        for ten in lowest..=highest {
            let (at, label) = (y(f64::from(ten)), decade(ten));
            writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>")?;
            writeln!(svg, "<text class=\"end\" x=\"{}\" y=\"{:.1}\">{label}</text>", LEFT - 8.0, at + 4.5)?;
        }
        for minutes in (0..=BAKE).step_by(5) {
            let (at, under) = (x(minutes as f64), bottom + 19.0);
            writeln!(svg, "<text class=\"middle\" x=\"{at:.1}\" y=\"{under}\">{minutes}</text>")?;
        }
        let middle = LEFT + WIDTH / 2.0;
        let axis = "minutes since the canary's first request";
        writeln!(svg, "<text class=\"middle\" x=\"{middle}\" y=\"{}\">{axis}</text>", bottom + 38.0)?;
        let (left, half) = (18.0, TOP + HEIGHT / 2.0);
        writeln!(
            svg,
            "<text class=\"middle\" transform=\"rotate(-90 {left} {half})\" x=\"{left}\" y=\"{half}\">evidence E</text>"
        )?;
        writeln!(
            svg,
            "<rect class=\"frame\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>"
        )?;
        let needed = y(-ALPHA.log10());
        writeln!(svg, "<path class=\"needed\" d=\"M{LEFT} {needed:.1}H{right}\"/>")?;
        let label = format!("1 / alpha = {:.0}: goes back", 1.0 / ALPHA);
        writeln!(svg, "<text class=\"end\" x=\"{}\" y=\"{:.1}\">{label}</text>", right - 6.0, needed - 6.0)?;
        for (n, curve) in self.curves.iter().enumerate() {
            let points: Vec<(f64, f64)> =
                curve.points.iter().map(|(minutes, ln_e)| (x(*minutes), y(ten(*ln_e)))).collect();
            // E is 1 before the first look
            let mut line = format!("M{:.1} {:.1}L", x(0.0), y(0.0));
            for (x, y) in &points {
                write!(line, "{x:.1} {y:.1} ")?;
            }
            writeln!(svg, "<path class=\"c{n}\" d=\"{}\"/>", line.trim_end())?;
            if let (true, Some((x, y))) = (curve.went_back, points.last()) {
                writeln!(svg, "<circle class=\"c{n}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>")?;
            }
            let at = legend + ROW * n as f64;
            writeln!(svg, "<path class=\"c{n}\" d=\"M{LEFT} {:.1}h34\"/>", at - 4.5)?;
            writeln!(svg, "<text x=\"{}\" y=\"{at}\">{}</text>", LEFT + 44.0, curve.name)?;
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }

    /// The powers of ten that hold every curve and the line.
    fn decades(&self) -> (i32, i32) {
        let all = || self.curves.iter().flat_map(|curve| &curve.points).map(|(_, ln_e)| ten(*ln_e));
        (all().fold(-1.0, f64::min).floor() as i32, all().fold(3.0, f64::max).ceil() as i32)
    }
}

fn ten(ln_e: f64) -> f64 {
    ln_e / std::f64::consts::LN_10
}

/// 0.01, 1, 1000; beyond that as a power.
fn decade(ten: i32) -> String {
    match ten {
        -3..=3 => 10_f64.powi(ten).to_string(),
        _ => format!("10<tspan dy=\"-5\" font-size=\"10\">{ten}</tspan>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pictures_in_docs_are_what_is_drawn_today() {
        let pictures =
            [("canaries", "evidence.svg", canaries()), ("outage", "evidence-outage.svg", outage())];
        for (what, file, plot) in pictures {
            let drawn = plot.expect("rollouts").svg().expect("a picture");
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/").to_owned() + file;
            let committed = std::fs::read_to_string(path).expect("a file");
            let again = format!(
                "draw it again: cargo run -p lifecycle-examples --example evidence -- {what} docs/{file}"
            );
            assert_eq!(committed, drawn, "{again}");
        }
    }
}
