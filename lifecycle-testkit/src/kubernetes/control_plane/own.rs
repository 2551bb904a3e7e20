//! A control plane of the test's own: its processes.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use hyper::Request;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::binary::Binaries;
use super::files::{ADMIN, Files};
use super::{ControlPlaneError, ControlPlaneOptions, client, flags};
use crate::kubernetes::Supervised;
use crate::kubernetes::supervise::free_port;

/// How many ports are tried, should another program take one at the same moment.
const ATTEMPTS: usize = 5;
/// How long between two looks at a component that is starting.
const LOOK: Duration = Duration::from_millis(50);
/// How long the answer to one look may take.
const ANSWER: Duration = Duration::from_secs(5);

/// The three processes and their files. Fields are dropped in this order.
#[derive(Debug)]
pub(super) struct Own {
    controller_manager: Mutex<Option<Supervised>>,
    api_server: Mutex<Option<Supervised>>,
    _etcd: Supervised,
    binaries: Binaries,
    options: ControlPlaneOptions,
    port: u16,
    url: String,
    files: Files,
}

impl Own {
    pub(super) async fn start(options: ControlPlaneOptions) -> Result<Self, ControlPlaneError> {
        let binaries = Binaries::find()?;
        let files = Files::create(&options.users)?;
        let etcd = supervise(&files, "etcd", &flags::etcd(&binaries, &files))?;
        let mut own = Self {
            controller_manager: Mutex::default(),
            api_server: Mutex::default(),
            _etcd: etcd,
            binaries,
            options,
            port: 0,
            url: String::new(),
            files,
        };
        own.start_on_a_free_port().await?;
        own.start_controller_manager().await?;
        own.wait_for_controllers().await?;
        Ok(own)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn kubeconfig(&self, user: &str) -> Result<PathBuf, ControlPlaneError> {
        self.files.kubeconfig(user, &self.url, &self.files.token(user)?)
    }

    pub(super) fn token_kubeconfig(&self, name: &str, token: &str) -> Result<PathBuf, ControlPlaneError> {
        self.files.kubeconfig(name, &self.url, token)
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.files.path("audit.log")
    }

    pub(super) fn logs(&self) -> Vec<PathBuf> {
        ["etcd", "kube-apiserver", "kube-controller-manager"].map(|name| log(&self.files, name)).into()
    }

    pub(super) async fn stop_api_server(&self) {
        self.api_server.lock().await.take();
    }

    pub(super) async fn start_api_server(&self) -> Result<(), ControlPlaneError> {
        let mut running = self.api_server.lock().await;
        if running.is_some() {
            return Ok(());
        }
        let command = flags::api_server(&self.binaries, &self.files, &self.options, self.port);
        let mut server = supervise(&self.files, "kube-apiserver", &command)?;
        let admin = client(&self.kubeconfig(ADMIN)?).await?;
        self.until(&mut server, || ready(&admin)).await?;
        *running = Some(server);
        Ok(())
    }

    pub(super) async fn stop_controller_manager(&self) {
        self.controller_manager.lock().await.take();
    }

    pub(super) async fn start_controller_manager(&self) -> Result<(), ControlPlaneError> {
        let mut running = self.controller_manager.lock().await;
        if running.is_none() {
            let command = flags::controller_manager(&self.binaries, &self.options, &self.kubeconfig(ADMIN)?);
            *running = Some(supervise(&self.files, "kube-controller-manager", &command)?);
        }
        Ok(())
    }

    /// Another program may take the port between the choice and the start: then there are others.
    async fn start_on_a_free_port(&mut self) -> Result<(), ControlPlaneError> {
        for attempt in 1.. {
            self.port = free_port().map_err(ControlPlaneError::io("find a free port"))?;
            self.url = format!("https://127.0.0.1:{}", self.port);
            match self.start_api_server().await {
                Err(ControlPlaneError::Exited { log, .. })
                    if attempt < ATTEMPTS && log.contains("address already in use") => {}
                result => return result,
            }
        }
        Ok(())
    }

    /// The first thing that a controller manager makes is the ServiceAccount of every namespace.
    async fn wait_for_controllers(&self) -> Result<(), ControlPlaneError> {
        let accounts: Api<ServiceAccount> = Api::default_namespaced(client(&self.kubeconfig(ADMIN)?).await?);
        let mut running = self.controller_manager.lock().await;
        let Some(manager) = running.as_mut() else { return Ok(()) };
        self.until(manager, || async { accounts.get("default").await.map(drop) }).await
    }

    /// Asks until the answer is good, the component has ended, or the time is over.
    async fn until<A>(&self, component: &mut Supervised, ask: impl Fn() -> A) -> Result<(), ControlPlaneError>
    where
        A: Future<Output = Result<(), kube::Error>>,
    {
        let deadline = Instant::now() + self.options.start_timeout;
        loop {
            let last = match tokio::time::timeout(ANSWER, ask()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer in {} s", ANSWER.as_secs()),
            };
            let name = component.name().to_owned();
            let status = component.exited().map_err(ControlPlaneError::io(format!("look after {name}")))?;
            if let Some(status) = status {
                let (status, log) = (status.to_string(), component.log_tail());
                return Err(ControlPlaneError::Exited { component: name, status, log });
            }
            if Instant::now() >= deadline {
                let (seconds, log) = (self.options.start_timeout.as_secs(), component.log_tail());
                return Err(ControlPlaneError::NotReady { component: name, seconds, last, log });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn ready(client: &Client) -> Result<(), kube::Error> {
    let request = Request::get("/readyz").body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request_text(request).await.map(drop)
}

fn supervise(files: &Files, name: &str, command: &Command) -> Result<Supervised, ControlPlaneError> {
    Supervised::start(name, command, &log(files, name))
        .map_err(ControlPlaneError::io(format!("start {name}")))
}

fn log(files: &Files, name: &str) -> PathBuf {
    files.path(&format!("{name}.log"))
}
