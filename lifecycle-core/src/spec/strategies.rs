//! The sections of the strategies: `rolling`, `blueGreen`, `canary`.

use super::error::SpecError;
use super::field::{Field, Fields};
use super::rollout::MAX_REPLICAS;
use crate::plan::{Amount, MAX_STEPS, Size, Weight};
use crate::time::Millis;

/// A canary step that gives no time takes this one.
const DEFAULT_BAKE: Millis = Millis::from_secs(30 * 60);

/// How far replicas may be above and below the desired number; never both written as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Room {
    /// Above; default 1. A percentage rounds up.
    pub max_surge: Amount,
    /// Below; default 0. A percentage rounds down.
    pub max_unavailable: Amount,
}

/// `rolling`: replica by replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rolling {
    /// `maxSurge` and `maxUnavailable`.
    pub room: Room,
    /// How long the new replicas must hold when all of them run; default 5 min.
    pub window: Millis,
    /// After this many failed readiness verdicts of one new replica the rollout goes back; default 3.
    pub readiness_attempts: u32,
}

/// `blueGreen`: a whole second set, and one switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BlueGreen {
    /// How long green must hold before the switch; default 15 min.
    pub validate: Millis,
    /// How long green must hold after the switch; default 30 min.
    pub monitor: Millis,
    /// How long after the switch blue keeps its replicas; default 1 h.
    pub scale_down_after: Millis,
    /// How long after the switch blue is kept for rollback; default 24 h, never less than
    /// `scale_down_after`.
    pub keep_for: Millis,
    /// Does a validated green switch by itself; default true.
    pub auto_promote: bool,
}

/// `canary`: a growing share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Canary {
    /// The steps, with weights that never fall; empty is straight to 100. The default is 10 % for
    /// 30 min, 50 % for 1 h, 100 % for 30 min.
    pub steps: Vec<CanaryStep>,
    /// `maxSurge` and `maxUnavailable`.
    pub room: Room,
    /// Does stable shrink as the canary grows; default false.
    pub dynamic_stable_scale: bool,
    /// How long the old replicas stay after promotion; default 30 s.
    pub scale_down_delay: Millis,
}

/// One step of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CanaryStep {
    /// Share of the traffic.
    pub weight: Weight,
    /// How long it must hold; default 30 min.
    pub bake: Millis,
    /// Must a person promote out of it; default false.
    pub approval: bool,
    /// `canaryScale`: another size than the weight asks for. Never too small for the weight.
    pub scale: Option<Size>,
}

impl Room {
    fn read(fields: &Fields<'_>) -> Result<Self, SpecError> {
        let amount = |field: &Field<'_>| field.amount(MAX_REPLICAS);
        let max_surge = fields.read_or("maxSurge", Amount::Replicas(1), amount)?;
        let max_unavailable = fields.read_or("maxUnavailable", Amount::Replicas(0), amount)?;
        if max_surge.is_zero() && max_unavailable.is_zero() {
            let problem = "maxSurge and maxUnavailable are both 0, and nothing could move: make one of them at least 1 or 1%";
            return Err(fields.error_at("maxSurge", problem));
        }
        Ok(Self { max_surge, max_unavailable })
    }
}

impl Rolling {
    pub(super) fn read(spec: &Fields<'_>) -> Result<Self, SpecError> {
        let fields =
            spec.section("rolling", &["maxSurge", "maxUnavailable", "window", "readinessAttempts"])?;
        Ok(Self {
            room: Room::read(&fields)?,
            window: fields.read_or("window", Millis::from_secs(300), Field::duration)?,
            readiness_attempts: fields.read_or("readinessAttempts", 3, |field| field.whole(1..=1000))?,
        })
    }
}

impl BlueGreen {
    pub(super) fn read(spec: &Fields<'_>) -> Result<Self, SpecError> {
        let known = ["validate", "monitor", "scaleDownAfter", "keepFor", "autoPromote"];
        let fields = spec.section("blueGreen", &known)?;
        let scale_down_after = fields.read_or("scaleDownAfter", Millis::from_secs(3600), Field::duration)?;
        let keep_for = fields.read("keepFor", |field| match field.duration()? {
            keep if keep < scale_down_after => Err(field.error(format!(
                "{keep} is shorter than scaleDownAfter ({scale_down_after}): write at least that"
            ))),
            keep => Ok(keep),
        })?;
        Ok(Self {
            validate: fields.read_or("validate", Millis::from_secs(15 * 60), Field::duration)?,
            monitor: fields.read_or("monitor", Millis::from_secs(30 * 60), Field::duration)?,
            scale_down_after,
            keep_for: keep_for.unwrap_or(Millis::from_secs(24 * 3600).max(scale_down_after)),
            auto_promote: fields.read_or("autoPromote", true, Field::boolean)?,
        })
    }
}

impl Canary {
    pub(super) fn read(spec: &Fields<'_>, replicas: u32) -> Result<Self, SpecError> {
        let known = ["steps", "maxSurge", "maxUnavailable", "dynamicStableScale", "scaleDownDelay"];
        let fields = spec.section("canary", &known)?;
        Ok(Self {
            steps: fields.read("steps", |field| steps(field, replicas))?.unwrap_or_else(default_steps),
            room: Room::read(&fields)?,
            dynamic_stable_scale: fields.read_or("dynamicStableScale", false, Field::boolean)?,
            scale_down_delay: fields.read_or("scaleDownDelay", Millis::from_secs(30), Field::duration)?,
        })
    }
}

fn default_steps() -> Vec<CanaryStep> {
    [(10, 30), (50, 60), (100, 30)]
        .into_iter()
        .filter_map(|(percent, minutes)| Some((Weight::new(percent)?, Millis::from_secs(minutes * 60))))
        .map(|(weight, bake)| CanaryStep { weight, bake, approval: false, scale: None })
        .collect()
}

fn steps(list: &Field<'_>, replicas: u32) -> Result<Vec<CanaryStep>, SpecError> {
    let mut steps: Vec<CanaryStep> = Vec::new();
    for item in list.list(MAX_STEPS)? {
        let step = CanaryStep::read(&item, replicas)?;
        if let Some(before) = steps.last().map(|step| step.weight).filter(|before| step.weight < *before) {
            let problem = format!(
                "{} is below the {} of the step before: write the same or more",
                step.weight.get(),
                before.get()
            );
            return Err(SpecError::new(format!("{}.setWeight", item.path()), problem));
        }
        steps.push(step);
    }
    Ok(steps)
}

impl CanaryStep {
    fn read(item: &Field<'_>, replicas: u32) -> Result<Self, SpecError> {
        let fields = item.fields(&["setWeight", "bake", "approval", "canaryScale"])?;
        let weight =
            fields.required("setWeight", "a percentage from 0 to 100, like setWeight: 10", Field::weight)?;
        Ok(Self {
            weight,
            bake: fields.read_or("bake", DEFAULT_BAKE, Field::duration)?,
            approval: fields.read_or("approval", false, Field::boolean)?,
            scale: fields.read("canaryScale", |field| canary_scale(field, weight, replicas))?.flatten(),
        })
    }
}

/// `None` is `matchWeight`: the size that the weight asks for.
fn canary_scale(field: &Field<'_>, weight: Weight, replicas: u32) -> Result<Option<Size>, SpecError> {
    let fields = field.fields(&["replicas", "percent", "matchWeight"])?;
    let count = fields.read("replicas", |field| field.whole(0..=MAX_REPLICAS))?;
    let percent = fields.read("percent", Field::weight)?;
    let matching = fields.read("matchWeight", Field::boolean)?;
    let (size, needed) = match (count, percent, matching) {
        (Some(count), None, None) => (Size::Exactly(count), weight.of(replicas)),
        (None, Some(percent), None) => (Size::Share(percent), weight.of(replicas)),
        (None, None, Some(true)) => return Ok(None),
        _ => {
            return Err(field.error("write exactly one of replicas: N, percent: 0 to 100, matchWeight: true"));
        }
    };
    let size_now = size.of(replicas);
    let too_small = size_now < needed || matches!(size, Size::Share(percent) if percent < weight);
    if too_small {
        let problem = format!(
            "{size_now} of {replicas} replicas cannot carry setWeight {}: write at least {needed} replicas or {} percent",
            weight.get(),
            weight.get()
        );
        return Err(field.error(problem));
    }
    Ok(Some(size))
}
