//! The table of specs that core refuses.

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// Fields of a spec, in YAML.
    pub(crate) fields: &'static str,
    /// Who tells a person who applies it.
    pub(crate) by: By,
}

/// Who tells, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The API server, at this path, with this part of a message.
    Server(&'static str, &'static str),
    /// The API server tells strict clients that there is no such field.
    Unknown(&'static str),
    /// Only the operator.
    Operator,
}

/// All rows.
pub(crate) fn rows() -> Vec<Refused> {
    let lines = include_str!("refused.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut columns = line.splitn(3, " | ").map(|column| column.trim_end_matches([' ', '|']));
            let (Some(fields), Some(path)) = (columns.next(), columns.next()) else {
                panic!("a column is missing: {line}")
            };
            let by = match (path, columns.next().unwrap_or_default()) {
                ("operator", "") => By::Operator,
                ("unknown", path) => By::Unknown(path),
                (path, part) if path.starts_with("spec.") && !part.is_empty() => By::Server(path, part),
                _ => panic!("this says nothing: {line}"),
            };
            Refused { fields, by }
        })
        .collect()
}

impl Refused {
    /// As the spec of a manifest.
    pub(crate) fn spec(&self) -> String {
        let Self { fields, .. } = self;
        if fields.starts_with("version:") {
            format!("{{{fields}}}")
        } else {
            format!("{{version: 1.5.0, {fields}}}")
        }
    }
}
