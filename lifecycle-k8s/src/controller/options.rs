//! What a controller is given from outside.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use lifecycle_core::analysis::AnalysisPlan;
use lifecycle_core::backend::{ErrorKind, HealthSource, Hook, Notifier};
use lifecycle_core::machine::Event;
use lifecycle_core::report::Status;

use crate::client::Scope;
use crate::object::Owner;

/// The backends that are not Kubernetes: where health is measured, who runs hooks and who is alerted.
pub trait Surroundings: Send + Sync + Debug {
    /// Where the health of this deployment is measured, with these queries of its own. Default: nowhere, so a plan
    /// with checks is refused.
    ///
    /// # Errors
    /// When it asks for what cannot be measured: the sentence for people, which names the field.
    fn health(
        &self,
        owner: &Owner,
        analysis: &AnalysisPlan,
    ) -> Result<Option<Arc<dyn HealthSource>>, String> {
        let _ = (owner, analysis);
        Ok(None)
    }

    /// Who runs the hooks of this object. The keys of two objects of the same name may be the same: what is known of
    /// one's calls must not answer for the other's. Default: nobody, so a plan with hooks is refused.
    fn hooks(&self, owner: &Owner) -> Option<Arc<dyn Hook>> {
        let _ = owner;
        None
    }

    /// Who is alerted. Default: nobody.
    fn notifier(&self) -> Option<Arc<dyn Notifier>> {
        None
    }
}

/// No other backend.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Plain;

impl Surroundings for Plain {}

/// Watches the controller at work: for metrics.
pub trait Observer: Send + Sync + Debug {
    /// A reconciliation ended.
    fn reconciled(&self, how: Reconciled, took: Duration) {
        let _ = (how, took);
    }

    /// How an object stands now, and what was decided to get there.
    fn stands(&self, namespace: &str, name: &str, status: &Status, events: &[Event]) {
        let _ = (namespace, name, status, events);
    }

    /// A call failed.
    fn call_failed(&self, backend: &'static str, kind: ErrorKind) {
        let _ = (backend, kind);
    }

    /// An object is gone.
    fn forgotten(&self, namespace: &str, name: &str) {
        let _ = (namespace, name);
    }
}

/// How a reconciliation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a question with three answers")]
pub enum Reconciled {
    /// All was done.
    Done,
    /// Somebody else wrote first; it is done again.
    Conflict,
    /// Something failed; it is done again, later each time.
    Failed,
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoObserver;

impl Observer for NoObserver {}

/// How a controller works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ControllerOptions {
    /// Where it looks. Default: the whole cluster.
    pub scope: Scope,
    /// How many objects are reconciled at once. Default 16.
    pub concurrency: u16,
    /// The other backends. Default: none.
    pub surroundings: Arc<dyn Surroundings>,
    /// Who watches. Default: nobody.
    pub observer: Arc<dyn Observer>,
    /// Name of this process in Kubernetes Events. Default: none.
    pub instance: Option<String>,
}

impl ControllerOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            scope: Scope::Cluster,
            concurrency: 16,
            surroundings: Arc::new(Plain),
            observer: Arc::new(NoObserver),
            instance: None,
        }
    }

    /// Looks here.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Reconciles so many objects at once.
    #[must_use]
    pub const fn concurrency(mut self, concurrency: u16) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// With these other backends.
    #[must_use]
    pub fn surroundings(mut self, surroundings: Arc<dyn Surroundings>) -> Self {
        self.surroundings = surroundings;
        self
    }

    /// Watched by this.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Under this name in Kubernetes Events.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }
}

impl Default for ControllerOptions {
    fn default() -> Self {
        Self::new()
    }
}
