//! What a replica of a revision runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::LocalError;

/// What a replica of a revision runs. `{port}` in an argument or in the value of a variable becomes
/// the replica's port, which is also in its environment as `PORT` (with `HOST` as 127.0.0.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ProcessTemplate {
    /// The program and its arguments. A program without a `/` is looked up in `PATH`.
    pub command: Vec<String>,
    /// Variables on top of the supervisor's own environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The directory it runs in; without one, the supervisor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<PathBuf>,
}

impl ProcessTemplate {
    /// A template of this command.
    #[must_use]
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            working_dir: None,
        }
    }

    /// With one more variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// With a directory to run in.
    #[must_use]
    pub fn working_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.working_dir = Some(dir.into());
        self
    }

    /// Reads the template of a manifest: `{command: [...], env: {NAME: VALUE}, workingDir: DIR}`.
    ///
    /// # Errors
    /// [`LocalError::Invalid`] with the path of the field, `spec.template.command`.
    ///
    /// # Example
    /// ```
    /// # use lifecycle_local::ProcessTemplate;
    /// let template = serde_json::json!({"command": ["agent", "--port", "{port}"], "env": {"WORKERS": 2}});
    /// assert_eq!(ProcessTemplate::parse(&template).unwrap().env["WORKERS"], "2");
    /// let error = ProcessTemplate::parse(&serde_json::json!({"command": "agent"})).unwrap_err();
    /// assert!(error.to_string().starts_with("spec.template.command: "));
    /// ```
    pub fn parse(template: &Value) -> Result<Self, LocalError> {
        let Value::Object(fields) = template else {
            return Err(invalid(
                "",
                "write a map with a command: {command: [\"./agent\", \"--port\", \"{port}\"]}",
            ));
        };
        let mut parsed = Self::new(Vec::<String>::new());
        for (name, value) in fields {
            match name.as_str() {
                "command" => parsed.command = command(value)?,
                "env" => parsed.env = env(value)?,
                "workingDir" => parsed.working_dir = Some(working_dir(value)?),
                other => {
                    return Err(invalid(
                        &format!(".{other}"),
                        "is not known; local processes take command, env and workingDir",
                    ));
                }
            }
        }
        if parsed.command.is_empty() {
            return Err(invalid(".command", "is needed: a list of the program and its arguments"));
        }
        Ok(parsed)
    }

    /// With absolute paths: a supervisor that is started somewhere else later must find the same.
    pub(crate) fn anchored(mut self) -> Self {
        let Ok(here) = std::env::current_dir() else { return self };
        self.working_dir = self.working_dir.map(|dir| here.join(dir));
        if let Some(program) = self.command.first_mut()
            && program.contains('/')
            && let Ok(absolute) = here.join(&*program).into_os_string().into_string()
        {
            *program = absolute;
        }
        self
    }

    /// The command with the port in place of `{port}`.
    pub(crate) fn command_on(&self, port: u16) -> Vec<String> {
        self.command.iter().map(|arg| arg.replace("{port}", &port.to_string())).collect()
    }
}

fn invalid(field: &str, problem: impl Into<String>) -> LocalError {
    LocalError::invalid(format!("spec.template{field}"), problem)
}

fn command(value: &Value) -> Result<Vec<String>, LocalError> {
    let Value::Array(parts) = value else {
        return Err(invalid(".command", "is not a list; write [\"./agent\", \"--port\", \"{port}\"]"));
    };
    let mut command = Vec::with_capacity(parts.len());
    for (i, part) in parts.iter().enumerate() {
        let field = format!(".command[{i}]");
        command.push(scalar(&field, part)?);
    }
    match command.first() {
        Some(program) if program.is_empty() => Err(invalid(".command[0]", "is empty; name the program")),
        _ => Ok(command),
    }
}

fn env(value: &Value) -> Result<BTreeMap<String, String>, LocalError> {
    let Value::Object(pairs) = value else {
        return Err(invalid(".env", "is not a map; write {NAME: value}"));
    };
    let mut env = BTreeMap::new();
    for (name, value) in pairs {
        let field = format!(".env.{name}");
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(invalid(&field, "is not the name of a variable: it must not be empty or hold ="));
        }
        if matches!(name.as_str(), "PORT" | "HOST" | crate::process::TOKEN_VARIABLE) {
            return Err(invalid(&field, "is set for each replica and cannot be given"));
        }
        env.insert(name.clone(), scalar(&field, value)?);
    }
    Ok(env)
}

fn working_dir(value: &Value) -> Result<PathBuf, LocalError> {
    match value {
        Value::String(dir) if !dir.is_empty() && !dir.contains('\0') => Ok(PathBuf::from(dir)),
        _ => Err(invalid(".workingDir", "is not a path; write one like /opt/agent")),
    }
}

/// Text, or what a person who writes YAML means to be text.
fn scalar(field: &str, value: &Value) -> Result<String, LocalError> {
    match value {
        Value::String(text) if text.contains('\0') => Err(invalid(field, "holds a zero byte")),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(invalid(field, "is not text")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_of_a_manifest_is_read() {
        let parsed = ProcessTemplate::parse(
            &json!({"command": ["agent", "--port={port}", 7], "env": {"A": "x", "B": true}, "workingDir": "/opt"}),
        )
        .unwrap();
        assert_eq!(
            parsed,
            ProcessTemplate::new(["agent", "--port={port}", "7"])
                .env("A", "x")
                .env("B", "true")
                .working_dir("/opt")
        );
        assert_eq!(parsed.command_on(8080)[1], "--port=8080");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        for (template, field) in [
            (json!(null), "spec.template: "),
            (json!({}), "spec.template.command: "),
            (json!({"command": []}), "spec.template.command: "),
            (json!({"command": "agent"}), "spec.template.command: "),
            (json!({"command": [""]}), "spec.template.command[0]: "),
            (json!({"command": ["a", ["b"]]}), "spec.template.command[1]: "),
            (json!({"command": ["a"], "env": []}), "spec.template.env: "),
            (json!({"command": ["a"], "env": {"X": null}}), "spec.template.env.X: "),
            (json!({"command": ["a"], "env": {"PORT": 1}}), "spec.template.env.PORT: "),
            (json!({"command": ["a"], "workingDir": 1}), "spec.template.workingDir: "),
            (json!({"command": ["a"], "image": "x"}), "spec.template.image: "),
        ] {
            let error = ProcessTemplate::parse(&template).unwrap_err().to_string();
            assert!(error.starts_with(field), "{template}: {error}");
        }
    }
}
