//! Image names and what they run.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::error::NodeError;

/// What a container of an image runs, as the image itself would say it: ENTRYPOINT, CMD and ENV. `{tag}` in
/// an argument or a value becomes the tag that was asked for.
#[derive(Clone, Debug)]
#[must_use]
pub struct Image {
    pub(super) program: OsString,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
}

impl Image {
    /// This program. Without a `/` it is looked up in `PATH`.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: BTreeMap::new() }
    }

    /// A program of the workspace that a test belongs to, as cargo has built it with the same profile.
    ///
    /// # Errors
    /// [`NodeError::NotBuilt`], with the command that builds it.
    pub fn built(bin: &str) -> Result<Self, NodeError> {
        // target/debug/deps/TEST
        let test = std::env::current_exe().map_err(NodeError::io("find this program's own file"))?;
        let dirs = test.ancestors().skip(1).take(2);
        let program = dirs.map(|dir| dir.join(bin)).find(|program| program.is_file());
        program.map(Self::new).ok_or_else(|| NodeError::NotBuilt(bin.to_owned()))
    }

    /// With these arguments, unless the container has its own.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// With this variable, unless the container says otherwise.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    fn tagged(&self, tag: &str) -> Self {
        let put = |text: &String| text.replace("{tag}", tag);
        Self {
            program: self.program.clone(),
            args: self.args.iter().map(put).collect(),
            env: self.env.iter().map(|(name, value)| (name.clone(), put(value))).collect(),
        }
    }

    /// Is `command` this image's own program, by path or by name?
    pub(super) fn is_program(&self, command: &str) -> bool {
        Path::new(command).file_name() == Path::new(&self.program).file_name()
    }
}

/// The images that a node can pull.
#[derive(Clone, Debug, Default)]
pub(super) struct Images {
    by_name: BTreeMap<String, Image>,
}

impl Images {
    pub(super) fn insert(&mut self, name: String, image: Image) {
        self.by_name.insert(name, image);
    }

    /// The image that `wanted` names, with its tag put in.
    pub(super) fn find(&self, wanted: &str) -> Option<Image> {
        let (repository, tag) = split(wanted);
        let short = repository.rsplit('/').next().unwrap_or(repository);
        [wanted, repository, short]
            .iter()
            .find_map(|name| self.by_name.get(*name))
            .map(|image| image.tagged(tag))
    }
}

/// Repository and tag; `latest` where there is none.
fn split(image: &str) -> (&str, &str) {
    let named = image.split('@').next().unwrap_or(image);
    match named.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (named, "latest"),
    }
}

/// Which images are on the node, and which cannot be pulled for the moment.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    state: Mutex<PullState>,
}

#[derive(Debug, Default)]
struct PullState {
    present: BTreeSet<String>,
    failing: BTreeMap<String, String>,
}

impl Pulls {
    /// Pulls of this image (all images: `""`; all tags: its repository) fail with this message.
    pub(super) fn fail(&self, name: &str, message: &str) {
        self.lock().failing.insert(name.to_owned(), message.to_owned());
    }

    /// All pulls work again.
    pub(super) fn heal(&self) {
        self.lock().failing.clear();
    }

    pub(super) fn is_present(&self, image: &str) -> bool {
        self.lock().present.contains(image)
    }

    /// Why the registry refuses, if it does.
    pub(super) fn refusal(&self, image: &str) -> Option<String> {
        let repository = split(image).0;
        let state = self.lock();
        ["", repository, image].iter().find_map(|name| state.failing.get(*name)).cloned()
    }

    pub(super) fn pulled(&self, image: &str) {
        self.lock().present.insert(image.to_owned());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, PullState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_that_fits_an_image_counts() {
        let mut images = Images::default();
        images.insert("app".into(), Image::new("any").env("VERSION", "{tag}"));
        images.insert("registry:5000/team/app".into(), Image::new("team"));
        images.insert("app:1.6.0".into(), Image::new("exact"));
        let check = |wanted: &str, program: Option<&str>| {
            let found = images.find(wanted).map(|image| image.program);
            assert_eq!(found, program.map(OsString::from), "{wanted}");
        };
        check("app:1.5.0", Some("any"));
        check("app:1.6.0", Some("exact"));
        check("registry:5000/team/app:1.6.0", Some("team"));
        check("registry:5000/other/app", Some("any"));
        check("registry:5000/team/app@sha256:00", Some("team"));
        check("apple:1.0.0", None);
        assert_eq!(images.find("x/app:1.5.0").unwrap().env["VERSION"], "1.5.0");
        assert_eq!(images.find("localhost:5000/app").unwrap().env["VERSION"], "latest");
    }

    #[test]
    fn a_pull_fails_for_one_tag_for_all_tags_or_for_all_images() {
        for (failing, image, fails) in [
            ("", "app:1", true),
            ("app", "app:1", true),
            ("app:1", "app:1", true),
            ("app:2", "app:1", false),
            ("ap", "app:1", false),
        ] {
            let pulls = Pulls::default();
            pulls.fail(failing, "no");
            assert_eq!(pulls.refusal(image).is_some(), fails, "{failing} {image}");
            pulls.heal();
            assert_eq!(pulls.refusal(image), None);
        }
    }
}
