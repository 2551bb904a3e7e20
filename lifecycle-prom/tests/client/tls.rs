//! TLS with authorities and certificates of the configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifecycle_core::backend::{ErrorKind, Reading};
use lifecycle_prom::{ConfigError, Connection, Pem, PrometheusSource};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::{one_of, over, success};

/// An authority for tests.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key in PEM.
struct Signed {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn signs(&self, name: &str) -> Signed {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Signed { certificate, key: key.serialize_pem() }
    }
}

/// A server that answers every request like a Prometheus whose clock is at 1000 s and that has no series.
struct TlsServer {
    url: String,
    task: JoinHandle<()>,
}

impl TlsServer {
    /// With this certificate; clients must show one that this authority has signed, if it is given.
    async fn start(signed: &Signed, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let certificate = CertificateDer::from_pem_slice(signed.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
        let config = builder.with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // a client that does not like the certificate goes away
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = Vec::new();
                    while !request.ends_with(b"ms") && stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
                    let clock = request.windows(12).any(|bytes| bytes == b"time%28%29&t");
                    let body = match clock {
                        true => {
                            r#"{"status":"success","data":{"resultType":"scalar","result":[1000,"1000"]}}"#
                                .to_owned()
                        }
                        false => success(""),
                    };
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                        body.len()
                    );
                    drop(stream.write_all(format!("{head}{body}").as_bytes()).await);
                    drop(stream.shutdown().await);
                });
            }
        });
        Self { url, task }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn source(connection: Connection) -> PrometheusSource {
    // one that failed is asked again at once
    PrometheusSource::new(over(connection).rest(Duration::ZERO)).unwrap()
}

/// localhost may be ::1 first: the test's servers listen on 127.0.0.1 and clients try both.
fn to(server: &TlsServer) -> Connection {
    Connection::new(&server.url).unwrap()
}

#[tokio::test]
async fn a_server_is_trusted_by_the_authority_of_the_configuration() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&authority.signs("localhost"), None).await;
    assert_eq!(one_of(&source(to(&server).ca(Pem::text(&authority.pem)))).await.unwrap(), Reading::NoData);
    for connection in [to(&server).ca(Pem::text(&other.pem)), to(&server)] {
        let error = one_of(&source(connection)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        assert!(error.message.contains("TLS: invalid peer certificate: "), "{error}");
    }
    let elsewhere = TlsServer::start(&authority.signs("elsewhere"), None).await;
    let error = one_of(&source(to(&elsewhere).ca(Pem::text(&authority.pem)))).await.unwrap_err();
    assert!(
        error.message.contains("TLS: invalid peer certificate: certificate not valid for name"),
        "{error}"
    );
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let (authority, clients, other) = (Authority::new(), Authority::new(), Authority::new());
    let server = TlsServer::start(&authority.signs("localhost"), Some(&clients)).await;
    let trusting = || to(&server).ca(Pem::text(&authority.pem));
    let with = |signed: Signed| {
        trusting().client_certificate(Pem::text(&signed.certificate), Pem::text(&signed.key))
    };
    assert_eq!(one_of(&source(with(clients.signs("operator")))).await.unwrap(), Reading::NoData);
    for connection in [trusting(), with(other.signs("operator"))] {
        let error = one_of(&source(connection)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unauthorized, "{error}");
        assert!(error.message.contains("TLS: received fatal alert: "), "{error}");
    }
}

#[tokio::test]
async fn certificates_in_files_are_read_again_when_they_have_changed() {
    let (before, after) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&after.signs("localhost"), Some(&after)).await;
    let dir = tempfile::tempdir().unwrap();
    let [ca, certificate, key] = ["ca.crt", "tls.crt", "tls.key"].map(|name| dir.path().join(name));
    let write = |authority: &Authority| {
        let signed = authority.signs("operator");
        put(&ca, &authority.pem);
        put(&certificate, &signed.certificate);
        put(&key, &signed.key);
    };
    write(&before);
    let files = to(&server).ca(Pem::file(&ca)).client_certificate(Pem::file(&certificate), Pem::file(&key));
    let source = source(files);
    assert!(one_of(&source).await.unwrap_err().message.contains("TLS: "));
    // half of a change is not the end of what worked, or did not
    put(&ca, "-----BEGIN CERTIFICATE-----\nnothing");
    assert!(one_of(&source).await.unwrap_err().message.contains("TLS: "));
    write(&after);
    assert_eq!(one_of(&source).await.unwrap(), Reading::NoData);
}

/// Another file in the place of the one that was there.
fn put(path: &Path, text: &str) {
    let next = path.with_extension("next");
    // no two of a test have the same length: files of a coarse clock change visibly, too
    std::fs::write(&next, format!("{text}{}", "\n".repeat(text.len() % 7))).unwrap();
    std::fs::rename(&next, path).unwrap();
}

#[test]
fn files_that_cannot_be_used_are_known_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let to = || Connection::new("https://localhost:1").unwrap();
    let check = |connection: Connection, said: &str| {
        let error = PrometheusSource::new(over(connection)).unwrap_err();
        assert!(matches!(error, ConfigError::File { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    };
    check(to().ca(Pem::file(&file)), "the certificates of the authorities");
    check(to().ca(Pem::file(&file)), "file: cannot be read: No such file");
    check(to().ca(Pem::text("nothing")), "given as text: it has no certificate: write them in PEM");
    let signed = Authority::new().signs("operator");
    let certificate = Pem::text(&signed.certificate);
    check(to().client_certificate(certificate.clone(), Pem::file(&file)), "the client's key");
    check(to().client_certificate(certificate, Pem::text("nothing")), "write certificate and key in PEM");
}
