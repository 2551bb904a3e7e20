//! The operator's log: one line an event on standard error.

use std::io::{self, IsTerminal as _};

use clap::ValueEnum;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, layer::SubscriberExt as _};

use crate::input::BadInput;

/// What is logged where nobody says otherwise: our own decisions, and what is wrong elsewhere.
const DEFAULT_FILTER: &str =
    "warn,lifecycle=info,lifecycle_core=info,lifecycle_k8s=info,lifecycle_prom=info,lifecycle_service=info";

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For programs: one object a line
    Json,
}

/// Logs from now on. What is logged is said by `filter`, such as `debug` or `info,lifecycle_k8s=debug`.
///
/// # Errors
/// When the filter cannot be understood, or something logs already.
pub(crate) fn start(format: LogFormat, filter: Option<&str>) -> Result<(), BadInput> {
    let colored = io::stderr().is_terminal()
        && anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let subscriber = subscriber(format, self::filter(filter)?, colored, io::stderr);
    subscriber.try_init().map_err(|error| BadInput::new(format!("logging: {error}")))
}

fn filter(text: Option<&str>) -> Result<EnvFilter, BadInput> {
    let text = text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(DEFAULT_FILTER);
    let refused = |problem: String| {
        let accepted =
            "write a level (error, warn, info, debug, trace, off) or a list like info,lifecycle_k8s=debug";
        BadInput::new(format!("log filter {text:?}: {problem}; {accepted}"))
    };
    // one word that is no level would be a part of a program, logged in full
    let is_level = |word: &str| word.contains(['=', '[']) || word.parse::<LevelFilter>().is_ok();
    if let Some(word) = text.split(',').map(str::trim).find(|word| !is_level(word)) {
        return Err(refused(format!("{word:?} is not a level")));
    }
    EnvFilter::try_new(text).map_err(|error| refused(error.to_string()))
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    colored: bool,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(colored).boxed(),
        // fields beside the message, where whoever collects logs looks for them
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Registry::default().with(lines).with(filter)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    /// What is logged with this format and filter by one event of each of two targets.
    fn logged(format: LogFormat, text: Option<&str>) -> String {
        #[derive(Clone, Default)]
        struct Kept(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = subscriber(format, filter(text).unwrap(), false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "lifecycle_k8s::controller", name = "edge", weight = 10, "a step\nbegins");
            tracing::debug!(target: "lifecycle_k8s::controller", "a detail");
            tracing::info!(target: "hyper::client", "a connection");
        });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_is_a_line_an_event() {
        let text = logged(LogFormat::Text, None);
        assert!(text.contains("INFO lifecycle_k8s::controller: a step"), "{text}");
        assert!(text.contains("name=\"edge\" weight=10"), "{text}");
        assert!(!text.contains("hyper") && !text.contains("a detail") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn json_is_an_object_a_line_with_the_fields_beside_the_message() {
        let text = logged(LogFormat::Json, None);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [line] = &lines[..] else { panic!("{text}") };
        assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"a step\nbegins".into()));
        assert_eq!((&line["name"], &line["weight"]), (&"edge".into(), &10.into()));
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{text}");
    }

    #[test]
    fn a_filter_says_what_is_logged() {
        let lines = |filter| logged(LogFormat::Text, Some(filter)).matches("lifecycle_k8s").count();
        assert_eq!(lines("error"), 0);
        assert_eq!(lines("lifecycle_k8s=debug"), 2);
        assert_eq!(lines(" "), 1);
        assert!(logged(LogFormat::Text, Some("info")).contains("a connection"));
        for bad in ["info,lifecycle_k8s=loud", "loud", "info,operator"] {
            let error = filter(Some(bad)).unwrap_err().to_string();
            assert!(
                error.contains(&format!("log filter {bad:?}")) && error.contains("write a level"),
                "{error}"
            );
        }
    }
}
