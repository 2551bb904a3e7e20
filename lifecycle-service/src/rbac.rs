//! `lifecycle rbac`: what the operator may do, for `kubectl apply`.

use std::io::{self, Write as _};

use clap::Args;
use lifecycle_core::spec::field::Field;
use lifecycle_k8s::names;
use lifecycle_k8s::rbac::Install;
use serde_json::Value;

use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  lifecycle rbac | kubectl apply -f -
  lifecycle rbac --namespace shop --watch-namespace shop | kubectl apply -f -

Each flag says the same as that of `lifecycle operator`. The namespaces have to be there.";

/// Print the operator's ServiceAccount and the least rules it needs, for kubectl apply
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RbacArgs {
    /// The operator's own namespace, where its Lease is
    #[arg(long, value_name = "NAMESPACE", default_value = "lifecycle-system", value_parser = namespace)]
    namespace: String,
    /// Look after this namespace only [default: the whole cluster]
    #[arg(long, value_name = "NAMESPACE", value_parser = namespace)]
    watch_namespace: Option<String>,
    /// Name of the Lease that elects the one operator that works
    #[arg(long, value_name = "NAME", default_value = names::LEASE, value_parser = lease_name)]
    lease_name: String,
}

/// Prints.
pub(crate) fn carry_out(args: RbacArgs) -> anyhow::Result<Exit> {
    let RbacArgs { namespace, watch_namespace, lease_name } = args;
    let mut install = Install::new(namespace).lease(lease_name);
    install.watched = watch_namespace;
    io::stdout().write_all(install.yaml()?.as_bytes())?;
    Ok(Exit::Done)
}

/// A namespace.
pub(crate) fn namespace(text: &str) -> Result<String, String> {
    name("namespace", text)
}

/// The name of a Lease.
pub(crate) fn lease_name(text: &str) -> Result<String, String> {
    name("lease", text)
}

fn name(what: &str, text: &str) -> Result<String, String> {
    let value = Value::from(text);
    Field::root(&value, what).name().map(|name| name.to_string()).map_err(|error| error.problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_name() {
        assert_eq!(namespace("shop-2"), Ok("shop-2".to_owned()));
        for text in ["", "Shop", "shop.example.com", "-shop", &"x".repeat(64)] {
            let error = namespace(text).unwrap_err();
            assert!(error.contains("is not a name: write lower-case letters"), "{text}: {error}");
        }
    }
}
