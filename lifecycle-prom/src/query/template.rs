//! Queries that a manifest defines.

use lifecycle_core::backend::HealthQuery;
use thiserror::Error;

use super::selector::{duration, escaped};
use crate::target::Target;

/// The placeholders, as errors list them.
const PLACEHOLDERS: &str = "{{namespace}}, {{agent}}, {{revision}}, {{version}} or {{window}}";

/// A query of `spec.analysis.queries`: PromQL with placeholders.
///
/// `{{namespace}}` and `{{agent}}` are those of the AgentDeployment, `{{revision}}` the hash and
/// `{{version}}` the version of what is judged, and `{{window}}` the trailing window, such as `300s`.
/// All but the window stand inside quotes, where whatever they hold stays text.
///
/// # Example
/// ```
/// # use lifecycle_prom::query::Template;
/// assert!(Template::parse("depth", r#"avg(queue_depth{revision="{{revision}}"})"#).is_ok());
/// assert!(Template::parse("depth", "avg(queue_depth[{{windw}}])").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// Why a query cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("spec.analysis.queries.{name}: at character {at}: {problem}")]
#[non_exhaustive]
pub struct TemplateError {
    /// The query's name.
    pub name: String,
    /// Where the problem is, counted from 1.
    pub at: usize,
    /// What is wrong and what is accepted.
    pub problem: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value { of: Placeholder, within: Within },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Namespace,
    Agent,
    Revision,
    Version,
    Window,
}

/// Where in the query a character stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Code,
    Comment,
    Quotes(char),
}

impl Template {
    /// Reads the query with this name.
    ///
    /// # Errors
    /// When a placeholder is not known, or stands where what it holds could become code, or a string
    /// has no end.
    pub fn parse(name: &str, text: &str) -> Result<Self, TemplateError> {
        let error = |byte: usize, problem: String| TemplateError {
            name: name.to_owned(),
            at: text[..byte].chars().count() + 1,
            problem,
        };
        if text.trim().is_empty() {
            return Err(error(0, "the query is empty".to_owned()));
        }
        let mut pieces = vec![Piece::Text(String::new())];
        let mut within = Within::Code;
        let mut opened = 0;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            if rest.starts_with("{{") && within != Within::Comment {
                let (of, length) = placeholder(rest, within).map_err(|problem| error(at, problem))?;
                pieces.extend([Piece::Value { of, within }, Piece::Text(String::new())]);
                at += length;
                continue;
            }
            let escape = c == '\\' && matches!(within, Within::Quotes('"' | '\''));
            let taken = rest.chars().take(if escape { 2 } else { 1 });
            let length = taken.map(char::len_utf8).sum::<usize>();
            if let Some(Piece::Text(before)) = pieces.last_mut() {
                before.push_str(&rest[..length]);
            }
            let next = after(within, c, escape);
            if next != within {
                (within, opened) = (next, at);
            }
            at += length;
        }
        match within {
            Within::Quotes(quote) => Err(error(opened, format!("the string has no closing {quote}"))),
            Within::Code | Within::Comment => Ok(Self { pieces }),
        }
    }

    /// The query for this question; `None` when a value cannot be written where it has to stand.
    pub(super) fn fill_in(&self, target: &Target, query: &HealthQuery) -> Option<String> {
        let mut out = String::new();
        for piece in &self.pieces {
            let (value, within) = match piece {
                Piece::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Piece::Value { of: Placeholder::Window, .. } => {
                    out.push_str(&duration(query.window()?));
                    continue;
                }
                Piece::Value { of: Placeholder::Namespace, within } => (target.namespace.clone(), within),
                Piece::Value { of: Placeholder::Agent, within } => (target.agent.clone(), within),
                Piece::Value { of: Placeholder::Revision, within } => {
                    (query.revision.hash.to_string(), within)
                }
                Piece::Value { of: Placeholder::Version, within } => {
                    (query.revision.version.to_string(), within)
                }
            };
            match within {
                // nothing can be escaped between backticks
                Within::Quotes('`') if value.contains(['`', '\n', '\r']) => return None,
                Within::Quotes('`') => out.push_str(&value),
                Within::Quotes(_) => out.push_str(&escaped(&value)),
                Within::Code | Within::Comment => return None,
            }
        }
        Some(out)
    }
}

/// The placeholder that this text begins with, and its length in bytes.
fn placeholder(text: &str, within: Within) -> Result<(Placeholder, usize), String> {
    let end = text.find("}}").ok_or_else(|| "{{ has no closing }}".to_owned())?;
    let name = text[2..end].trim();
    let of = match name {
        "namespace" => Placeholder::Namespace,
        "agent" => Placeholder::Agent,
        "revision" => Placeholder::Revision,
        "version" => Placeholder::Version,
        "window" => Placeholder::Window,
        _ => {
            let name: String = name.chars().take(40).collect();
            return Err(format!("{{{{{name}}}}} is no placeholder: write {PLACEHOLDERS}"));
        }
    };
    if of != Placeholder::Window && within == Within::Code {
        return Err(format!("write {{{{{name}}}}} inside quotes, as the value of a label"));
    }
    Ok((of, end + 2))
}

/// Where what follows `c` stands.
const fn after(within: Within, c: char, escape: bool) -> Within {
    match (within, c) {
        (Within::Code, '"' | '\'' | '`') => Within::Quotes(c),
        (Within::Code, '#') => Within::Comment,
        (Within::Comment, '\n') => Within::Code,
        (Within::Quotes(quote), c) if c == quote && !escape => Within::Code,
        (within, _) => within,
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::backend::Signal;
    use lifecycle_core::time::Millis;
    use lifecycle_core::version::{Revision, RevisionNumber, parse_version};

    use super::*;

    fn filled_in(text: &str, hash: &str) -> Option<String> {
        let revision = Revision::new(RevisionNumber(1), hash, parse_version("1.5.0-rc.1").unwrap());
        let query = HealthQuery::new(Signal::Named("q".into()), revision, Millis::from_secs(300));
        Template::parse("q", text).unwrap().fill_in(&Target::new("prod", "edge"), &query)
    }

    #[test]
    fn placeholders_are_filled_in() {
        for (text, expected) in [
            ("sum(up)", "sum(up)"),
            (r#"x{r="{{revision}}"}[{{window}}]"#, r#"x{r="abc"}[300s]"#),
            (
                r#"x{n='{{ namespace }}',a=~"{{agent}}-.*",v=`{{version}}`}"#,
                r#"x{n='prod',a=~"edge-.*",v=`1.5.0-rc.1`}"#,
            ),
            ("x # it's {{nothing}}\n + y[{{window}}]", "x # it's {{nothing}}\n + y[300s]"),
            (r#"x{a="\"{{agent}}\\"}"#, r#"x{a="\"edge\\"}"#),
        ] {
            assert_eq!(filled_in(text, "abc").as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_a_placeholder_holds_stays_text() {
        let hostile = "a\"'} or vector(0) # \\";
        let held = r"a\x22\x27} or vector(0) # \\";
        assert_eq!(filled_in(r#"x{r="{{revision}}"}"#, hostile), Some(format!("x{{r=\"{held}\"}}")));
        assert_eq!(filled_in("x{r='{{revision}}'}", hostile), Some(format!("x{{r='{held}'}}")));
        assert_eq!(filled_in("x{r=`{{revision}}`}", hostile), Some(format!("x{{r=`{hostile}`}}")));
        assert_eq!(filled_in("x{r=`{{revision}}`}", "`} or vector(0)"), None);
    }

    #[test]
    fn a_template_that_cannot_be_filled_in_says_where() {
        for (text, at, problem) in [
            (" ", 1, "the query is empty"),
            ("é{{window", 2, "{{ has no closing }}"),
            ("x[{{windw}}]", 3, "{{windw}} is no placeholder: write {{namespace}}, {{agent}}"),
            ("x_{{revision}}", 3, "write {{revision}} inside quotes"),
            (r#"x{a="b}"#, 5, "the string has no closing \""),
            (r#"x{a="b\"}"#, 5, "the string has no closing \""),
            ("x{a=`b\\`} + y{c='", 17, "the string has no closing '"),
        ] {
            let error = Template::parse("depth", text).unwrap_err();
            assert_eq!((error.at, error.problem.contains(problem)), (at, true), "{text}: {error}");
            assert!(error.to_string().starts_with("spec.analysis.queries.depth: at character "), "{error}");
        }
    }
}
