//! What a container runs: command, arguments and environment, from its image, its spec and its pod.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod};

use super::image::Image;
use super::refs::Refs;

/// What a container is told beyond its own spec.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) pod: &'a Pod,
    pub(super) node: &'a str,
    /// Where its pod listens.
    pub(super) address: Ipv4Addr,
    /// What is known of the node from outside.
    pub(super) host_ip: Ipv4Addr,
    pub(super) kubeconfig: Option<&'a str>,
    /// ConfigMaps and Secrets.
    pub(super) refs: &'a Refs,
}

/// A process to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) program: OsString,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
}

/// Puts image, spec and place together. What the spec says wins; an address that means "everywhere" means the
/// pod's own, because pods share the addresses of one machine.
///
/// # Errors
/// A sentence for people: what cannot be resolved.
pub(super) fn process(container: &Container, image: &Image, place: &Place<'_>) -> Result<Process, String> {
    let address = place.address.to_string();
    let mut env = image.env.clone();
    let mut tell = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
    tell("HOSTNAME", place.pod.metadata.name.as_deref().unwrap_or_default());
    tell("POD_IP", &address);
    tell("HOST", &address);
    if let Some(port) = container.ports.iter().flatten().next() {
        tell("PORT", &port.container_port.to_string());
    }
    if let Some(kubeconfig) = place.kubeconfig {
        tell("KUBECONFIG", kubeconfig);
    }
    for from in container.env_from.iter().flatten() {
        env.extend(place.refs.all(from)?);
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) => Some(expand(value, &env)),
            (None, Some(source)) => resolve(source, place)?,
            (None, None) => Some(String::new()),
        };
        if let Some(value) = value {
            env.insert(variable.name.clone(), value);
        }
    }
    if let Some(host) = env.get_mut("HOST")
        && matches!(host.as_str(), "0.0.0.0" | "::" | "[::]" | "")
    {
        *host = address;
    }
    let expanded = |texts: &Option<Vec<String>>| -> Option<Vec<String>> {
        let texts = texts.as_ref().filter(|texts| !texts.is_empty())?;
        Some(texts.iter().map(|text| expand(text, &env)).collect())
    };
    let (program, args) = match (expanded(&container.command), expanded(&container.args)) {
        (Some(command), args) => {
            let mut command = command.into_iter();
            let first = command.next().unwrap_or_default();
            let program = if image.is_program(&first) { image.program.clone() } else { first.into() };
            (program, command.chain(args.into_iter().flatten()).collect())
        }
        (None, Some(args)) => (image.program.clone(), args),
        (None, None) => (image.program.clone(), image.args.clone()),
    };
    Ok(Process { program, args, env })
}

/// `$(NAME)` becomes the variable's value, `$$` a `$`; what is not known stays.
fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let name = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        rest = match (name, after.strip_prefix('$')) {
            (Some((name, behind)), _) => {
                match env.get(name) {
                    Some(value) => expanded.push_str(value),
                    None => expanded.extend(["$(", name, ")"]),
                }
                behind
            }
            (None, Some(behind)) => {
                expanded.push('$');
                behind
            }
            (None, None) => {
                expanded.push('$');
                after
            }
        };
    }
    expanded + rest
}

fn resolve(source: &EnvVarSource, place: &Place<'_>) -> Result<Option<String>, String> {
    if let Some(field) = &source.field_ref {
        return self::field(&field.field_path, place).map(Some);
    }
    if let Some(key) = &source.config_map_key_ref {
        return place.refs.config(&key.name, &key.key, key.optional.unwrap_or(false));
    }
    if let Some(key) = &source.secret_key_ref {
        return place.refs.secret(&key.name, &key.key, key.optional.unwrap_or(false));
    }
    Err("this node resolves fieldRef, configMapKeyRef and secretKeyRef only".to_owned())
}

/// A field of the pod. Its address is the one that its process can listen on.
fn field(path: &str, place: &Place<'_>) -> Result<String, String> {
    let (metadata, spec) = (&place.pod.metadata, place.pod.spec.as_ref());
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    if let Some((map, rest)) = path.split_once("['")
        && let Some(key) = rest.strip_suffix("']")
    {
        let map = match map {
            "metadata.labels" => metadata.labels.as_ref(),
            "metadata.annotations" => metadata.annotations.as_ref(),
            _ => return Err(format!("no such field of a pod: {path}")),
        };
        return Ok(text(map.and_then(|map| map.get(key))));
    }
    Ok(match path {
        "status.podIP" | "status.podIPs" => place.address.to_string(),
        "status.hostIP" | "status.hostIPs" => place.host_ip.to_string(),
        "metadata.name" => text(metadata.name.as_ref()),
        "metadata.namespace" => text(metadata.namespace.as_ref()),
        "metadata.uid" => text(metadata.uid.as_ref()),
        "spec.nodeName" => place.node.to_owned(),
        "spec.serviceAccountName" => text(spec.and_then(|spec| spec.service_account_name.as_ref())),
        _ => return Err(format!("no such field of a pod: {path}")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(container: serde_json::Value, image: &Image) -> Result<Process, String> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web"}},
            "spec": {"containers": []},
        }))
        .unwrap();
        let (node, host_ip) = ("node-1", Ipv4Addr::new(10, 1, 0, 1));
        let (address, refs) = (Ipv4Addr::new(127, 1, 0, 2), Refs::default());
        let place = Place { pod: &pod, node, address, host_ip, kubeconfig: None, refs: &refs };
        process(&serde_json::from_value(container).unwrap(), image, &place)
    }

    #[test]
    fn variables_are_expanded_in_their_order_and_unknown_ones_stay() {
        let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (text, expected) in [
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$$(A)", "$(A)"),
            ("$(B) $A $ $", "$(B) $A $ $"),
            ("$(A", "$(A"),
        ] {
            assert_eq!(expand(text, &env), expected, "{text}");
        }
        let container = json!({"name": "c", "env": [
            {"name": "LATE", "value": "$(EARLY)"},
            {"name": "EARLY", "value": "$(POD_IP)"},
            {"name": "AFTER", "value": "$(EARLY)!"},
        ]});
        let env = run(container, &Image::new("app")).unwrap().env;
        assert_eq!((&*env["LATE"], &*env["AFTER"]), ("$(EARLY)", "127.1.0.2!"));
    }

    #[test]
    fn a_container_is_told_its_address_and_its_port_unless_it_says_so_itself() {
        let ports = json!([{"containerPort": 8080}]);
        let env = run(json!({"name": "c", "ports": ports}), &Image::new("app")).unwrap().env;
        assert_eq!((&*env["HOST"], &*env["PORT"], &*env["HOSTNAME"]), ("127.1.0.2", "8080", "web-1"));
        let own = json!([{"name": "PORT", "value": "9"}, {"name": "HOST", "value": "0.0.0.0"}]);
        let env = run(json!({"name": "c", "ports": ports, "env": own}), &Image::new("app")).unwrap().env;
        assert_eq!((&*env["HOST"], &*env["PORT"]), ("127.1.0.2", "9"));
    }

    #[test]
    fn fields_of_the_pod_are_values() {
        let from = |path: &str| {
            let variable = json!({"name": "V", "valueFrom": {"fieldRef": {"fieldPath": path}}});
            run(json!({"name": "c", "env": [variable]}), &Image::new("app")).map(|it| it.env["V"].clone())
        };
        for (path, expected) in [
            ("status.podIP", "127.1.0.2"),
            ("status.hostIP", "10.1.0.1"),
            ("metadata.name", "web-1"),
            ("metadata.namespace", "shop"),
            ("metadata.labels['app']", "web"),
            ("metadata.annotations['app']", ""),
            ("spec.nodeName", "node-1"),
        ] {
            assert_eq!(from(path), Ok(expected.to_owned()), "{path}");
        }
        assert!(from("spec.nothing").is_err());
    }

    #[test]
    fn command_and_args_take_the_place_of_the_images_own() {
        let image = Image::new("/opt/agent-app").args(["--default"]);
        let check = |container: serde_json::Value, expected: &[&str]| {
            let it = run(container.clone(), &image).unwrap();
            let mut words = vec![it.program.into_string().unwrap()];
            words.extend(it.args);
            assert_eq!(words, expected, "{container}");
        };
        check(json!({"name": "c"}), &["/opt/agent-app", "--default"]);
        check(json!({"name": "c", "args": ["$(POD_IP)"]}), &["/opt/agent-app", "127.1.0.2"]);
        check(json!({"name": "c", "command": ["agent-app"]}), &["/opt/agent-app"]);
        check(json!({"name": "c", "command": ["sh", "-c"], "args": ["true"]}), &["sh", "-c", "true"]);
    }
}
