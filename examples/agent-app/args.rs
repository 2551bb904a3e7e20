//! How the application is told to behave. Every flag can be an environment variable too, so that a
//! manifest's `env` is enough to make a good version a bad one.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use jiff::SignedDuration;

/// A small HTTP application to roll out.
#[derive(Debug, Parser)]
#[command(name = "agent-app", disable_version_flag = true)]
pub(crate) struct Args {
    /// Address to listen on
    #[arg(long, env = "HOST", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) host: IpAddr,
    /// Port to listen on
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub(crate) port: u16,
    /// The version to answer with
    #[arg(long, env = "VERSION", default_value = "0.0.0")]
    pub(crate) version: String,
    /// Share of the requests to / that is answered with 500: 20% or 0.2
    #[arg(long, env = "ERROR_RATE", default_value = "0%", value_parser = share)]
    pub(crate) error_rate: f64,
    /// Median of the latency of /
    #[arg(long, env = "LATENCY_P50", default_value = "0s", value_parser = duration)]
    pub(crate) latency_p50: Duration,
    /// 95th percentile of the latency of /; not below the median
    #[arg(long, env = "LATENCY_P95", default_value = "0s", value_parser = duration)]
    pub(crate) latency_p95: Duration,
    /// When /ready begins to say yes, counted from the start: a duration, or never
    #[arg(long, env = "READY_AFTER", default_value = "0s", value_parser = after)]
    pub(crate) ready_after: After,
    /// End with status 1 this long after the start: a duration, or never
    #[arg(long, env = "EXIT_AFTER", default_value = "never", value_parser = after)]
    pub(crate) exit_after: After,
    /// Turn bad this long after the first request to /: a duration, or never
    #[arg(long, env = "BAD_AFTER", default_value = "never", value_parser = after)]
    pub(crate) bad_after: After,
    /// The error rate once it has turned bad
    #[arg(long, env = "BAD_ERROR_RATE", default_value = "50%", value_parser = share)]
    pub(crate) bad_error_rate: f64,
    /// What to do with the requests on their way when SIGTERM comes
    #[arg(long, env = "ON_SIGTERM", default_value = "finish")]
    pub(crate) on_sigterm: OnSigterm,
}

/// What SIGTERM does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnSigterm {
    /// Accept nothing new, answer what was accepted, then exit 0
    Finish,
    /// Exit at once, as an application does that knows nothing of SIGTERM
    Exit,
}

/// A span of time, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Not at all.
    Never,
    /// After this long.
    Time(Duration),
}

impl After {
    /// Is it over, when this much has passed?
    pub(crate) fn is_over(self, passed: Duration) -> bool {
        matches!(self, Self::Time(time) if passed >= time)
    }
}

fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().map(|number| number / unit);
    match share {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("not a share from 0% to 100%, as 20% or 0.2".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|time| Duration::try_from(time).ok())
        .ok_or_else(|| "not a duration, as 250ms, 30s or 1h".to_owned())
}

fn after(text: &str) -> Result<After, String> {
    if text == "never" {
        return Ok(After::Never);
    }
    duration(text).map(After::Time).map_err(|error| format!("{error}, and not never"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_share_is_a_percentage_or_a_fraction() {
        for (text, expected) in
            [("20%", Some(0.2)), ("0.2", Some(0.2)), ("0%", Some(0.0)), ("100%", Some(1.0))]
        {
            assert_eq!(share(text).ok(), expected, "{text}");
        }
        for text in ["101%", "-1%", "2", "NaN", "few", ""] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_a_duration_or_never() {
        assert_eq!(after("never"), Ok(After::Never));
        assert_eq!(after("250ms"), Ok(After::Time(Duration::from_millis(250))));
        assert!(after("soon").is_err() && after("-1s").is_err());
    }

    #[test]
    fn never_is_never_over() {
        assert!(!After::Never.is_over(Duration::MAX));
        assert!(After::Time(Duration::ZERO).is_over(Duration::ZERO));
    }
}
