use std::fs;

use clap::Parser;
use lifecycle_core::backend::Signal;
use lifecycle_prom::Target;

use super::*;

const URL: [&str; 2] = ["--prometheus", "http://127.0.0.1:1"];

#[derive(Debug, Parser)]
struct Operator {
    #[command(flatten)]
    args: PrometheusArgs,
}

fn parse(flags: &[&str]) -> Result<PrometheusArgs, String> {
    let words = ["it"].iter().chain(flags);
    Operator::try_parse_from(words).map(|operator| operator.args).map_err(|error| error.to_string())
}

/// With a Prometheus and these flags.
fn with(flags: &[&str]) -> PrometheusArgs {
    parse(&[&URL, flags].concat()).unwrap()
}

/// Why it does not start with a Prometheus and these flags.
fn refusal(flags: &[&str]) -> String {
    match parse(&[&URL, flags].concat()) {
        Err(said) => said,
        Ok(args) => args.source().unwrap_err().to_string(),
    }
}

#[test]
fn pods_are_measured_with_the_flag_and_without_it_it_is_named() {
    let health =
        |flags: &[&str]| with(flags).source().unwrap().unwrap().for_target(Target::new("shop", "edge"));
    let (with, without) = (health(&["--pod-metrics"]), health(&[]));
    for signal in [Signal::Saturation, Signal::Restarts] {
        assert!(with.measures(&signal) && !without.measures(&signal), "{signal}");
        let lack = without.lack(&signal).unwrap();
        assert!(lack.contains("only with --pod-metrics"), "{lack}");
    }
}

#[test]
fn each_set_has_its_names_and_the_revision_is_called_otherwise_only_when_it_is_said() {
    for (set, names) in [
        ("plain", Metrics::plain()),
        ("istio", Metrics::istio()),
        ("linkerd", Metrics::linkerd()),
        ("nginx-ingress", Metrics::nginx_ingress()),
        ("envoy", Metrics::envoy()),
    ] {
        assert_eq!(with(&["--metrics", set]).names().unwrap(), names, "{set}");
        let named = ["--metrics", set, "--revision-label", "hash", "--revision-value", "x-{revision}"];
        let wanted = names.revision_label("hash").unwrap().revision_value("x-{revision}").unwrap();
        assert_eq!(with(&named).names().unwrap(), wanted, "{set}");
    }
    assert_eq!(with(&[]).names().unwrap(), Metrics::plain());
    assert_eq!(with(&["--pod-metrics"]).names().unwrap(), Metrics::plain().pods(PodMetrics::default()));
}

#[test]
fn what_is_given_is_how_prometheus_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "me:s3:cret\n").unwrap();
    let flags = [
        ["--prometheus", "http://one:9090,http://two:9090"],
        ["--prometheus", "https://three/prometheus"],
        ["--prometheus-basic-auth-file", password.to_str().unwrap()],
        ["--prometheus-ca", "ca.pem"],
        ["--prometheus-cert", "cert.pem"],
        ["--prometheus-key", "key.pem"],
        ["--prometheus-header", "X-Scope-OrgID: shop"],
        ["--prometheus-header", "X-Other:1"],
        ["--alertmanager", "http://alerts:9093"],
    ];
    let args = parse(flags.as_flattened()).unwrap();
    let over = |connection: Connection| {
        let headed = connection.header("X-Scope-OrgID", "shop").unwrap().header("X-Other", "1").unwrap();
        let signed = headed.basic_auth("me", "s3:cret").ca(Pem::file("ca.pem"));
        signed.client_certificate(Pem::file("cert.pem"), Pem::file("key.pem"))
    };
    let three = Connection::new("http://one:9090").unwrap().or("http://two:9090").unwrap();
    let wanted = PrometheusConfig::over(over(three.or("https://three/prometheus").unwrap()))
        .pods_come_with("--pod-metrics")
        .alertmanager(over(Connection::new("http://alerts:9093").unwrap()));
    assert_eq!(format!("{:?}", args.config().unwrap().unwrap()), format!("{wanted:?}"));
    assert_eq!(user_and_password(&password).unwrap(), ("me".to_owned(), "s3:cret".to_owned()));
    assert!(!format!("{args:?}").contains("shop"), "{args:?}");

    let token = with(&["--prometheus-token-file", "token"]).config().unwrap().unwrap();
    assert!(format!("{token:?}").contains("TokenFile(token)"), "{token:?}");
    assert!(format!("{token:?}").contains("alertmanager: None"), "{token:?}");
}

#[test]
fn without_an_address_there_is_none_and_what_goes_with_it_is_refused() {
    assert!(parse(&[]).unwrap().source().unwrap().is_none());
    assert!(parse(&["--prometheus", ""]).unwrap().source().unwrap().is_none());
    for flag in [TOKEN, BASIC_AUTH, CA, HEADER, "--alertmanager"] {
        let said = parse(&[flag, "x"]).unwrap_err();
        assert!(said.contains("--prometheus <URL>"), "{flag}: {said}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_flag_and_what_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, word) = (file("empty", ""), file("word", "word"));
    for (flags, says) in [
        (&["--prometheus", "prom:9090"][..], "--prometheus: \"prom:9090\" is not the address of a server"),
        (&["--alertmanager", "ftp://me:secret@x"], "--alertmanager: \"x\" is not the address of a server"),
        (&["--metrics", "traefik"], "[possible values: plain, istio, linkerd, nginx-ingress, envoy]"),
        (&["--prometheus-header", "secret"], "--prometheus-header: write a header as 'Name: value'"),
        (&["--prometheus-header", "a b: secret"], "--prometheus-header: the header \"a b\" cannot be sent"),
        (
            &["--prometheus-token-file", "/none"],
            "--prometheus-token-file: the bearer token /none: cannot be read",
        ),
        (&["--prometheus-token-file", &empty], "write the token in it"),
        (&["--prometheus-basic-auth-file", "/none"], "--prometheus-basic-auth-file: /none: cannot be read"),
        (&["--prometheus-basic-auth-file", &word], "write user:password in it"),
        (&["--prometheus-ca", "/none"], "--prometheus-ca: the certificates of the authorities /none: cannot"),
        (&["--prometheus-ca", &word], "write them in PEM"),
        (&["--prometheus-cert", &word], "--prometheus-key <FILE>"),
        (&["--prometheus-key", &word], "--prometheus-cert <FILE>"),
        (
            &["--prometheus-cert", &word, "--prometheus-key", "/none"],
            "--prometheus-key: the client's key /none",
        ),
        (
            &["--prometheus-cert", "/none", "--prometheus-key", &word],
            "--prometheus-cert: the client's certificate",
        ),
        (&["--prometheus-token-file", &word, "--prometheus-basic-auth-file", &word], "cannot be used with"),
        (&["--revision-label", "a b"], "--revision-label <LABEL>"),
        (&["--revision-value", "{hash}"], "write {revision} in it"),
    ] {
        let said = refusal(flags);
        assert!(said.contains(says) && !said.contains("secret"), "{flags:?}: {said}");
        assert!(said.contains(flags[0]) || says.starts_with("--"), "{flags:?}: {said}");
    }
}
