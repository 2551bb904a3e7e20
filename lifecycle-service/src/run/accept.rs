//! From the text of a manifest to what this machine can run.

use std::env;
use std::path::{Path, PathBuf};

use lifecycle_core::backend::{Hook as _, Splitting};
use lifecycle_core::driver::Target;
use lifecycle_core::spec::Manifest;
use lifecycle_core::strategy::{self, PlanContext};
use lifecycle_local::{HttpHook, ProcessTemplate};

use crate::input::BadInput;

/// A manifest that this machine can run.
#[derive(Debug)]
pub(super) struct Accepted {
    /// As it was written.
    pub(super) text: String,
    /// As it was understood.
    pub(super) manifest: Manifest,
    /// What the driver works on.
    pub(super) target: Target,
    /// What a replica runs, with its program found.
    pub(super) template: ProcessTemplate,
}

/// Understands a manifest, or says in one line why not.
pub(super) fn accept(text: &str) -> Result<Accepted, BadInput> {
    let manifest = Manifest::from_yaml(text).map_err(BadInput::new)?;
    // The proxy splits by any weight.
    let context = PlanContext::new(Some(Splitting::Weighted));
    let target = strategy::compile(&manifest.spec, &context).map_err(BadInput::new)?;
    for (n, hook) in manifest.spec.hooks().iter().enumerate() {
        HttpHook::new()
            .accepts(&hook.url)
            .map_err(|why| BadInput::new(format!("spec.hooks[{n}].url: {why}")))?;
    }
    let Some(template) = manifest.spec.template() else {
        return Err(BadInput::new(
            "spec.template: is needed to run processes, as {command: [./agent, --port, \"{port}\"]}",
        ));
    };
    let mut template = ProcessTemplate::parse(template).map_err(BadInput::new)?;
    if let Some(name) = template.command.first_mut() {
        *name = program(name, template.working_dir.as_deref())?;
    }
    Ok(Accepted { text: text.to_owned(), manifest, target, template })
}

/// A program by its path, or by its name beside this program or in `PATH`: the same file for every
/// replica, whoever starts it.
fn program(name: &str, working_dir: Option<&Path>) -> Result<String, BadInput> {
    let field = "spec.template.command[0]";
    let found = if name.contains('/') {
        let base = working_dir.map_or_else(env::current_dir, |dir| Ok(dir.to_owned()));
        Some(base.unwrap_or_default().join(name)).filter(|path| path.is_file())
    } else {
        folders().map(|folder| folder.join(name)).find(|path| path.is_file())
    };
    let path = found.and_then(|path| path.into_os_string().into_string().ok());
    path.ok_or_else(|| {
        let places =
            if name.contains('/') { "is no file" } else { "is neither beside lifecycle nor in PATH" };
        BadInput::new(format!("{field}: the program {name:?} {places}"))
    })
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let beside = env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned()));
    let path = env::var_os("PATH").unwrap_or_default();
    beside.into_iter().chain(env::split_paths(&path).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(template: &str) -> String {
        format!(
            "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: a}}, \
             spec: {{version: 1.5.0{template}}}}}"
        )
    }

    #[test]
    fn a_program_is_found_by_its_name() {
        let accepted = accept(&manifest(", template: {command: [sh, -c, 'exit 0']}")).unwrap();
        assert!(accepted.template.command[0].ends_with("/sh"), "{:?}", accepted.template.command);
    }

    #[test]
    fn what_cannot_run_here_is_named_with_its_field() {
        for (template, problem) in [
            ("", "spec.template: is needed"),
            (", template: {image: x}", "spec.template.image: "),
            (
                ", template: {command: [no-such-program]}",
                "spec.template.command[0]: the program \"no-such-program\" is neither",
            ),
            (
                ", template: {command: [./no-such-program]}",
                "spec.template.command[0]: the program \"./no-such-program\" is no file",
            ),
            (", replicas: 0", "spec.replicas: "),
            (
                ", template: {command: [sh]}, hooks: [{on: smoke, url: \"https://x/\"}]",
                "spec.hooks[0].url: \"https://x/\" cannot be called from here, which speaks no https; write http://",
            ),
        ] {
            let error = accept(&manifest(template)).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{template}: {error}");
        }
    }
}
