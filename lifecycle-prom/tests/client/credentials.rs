//! Whoever asks says who it is.

use lifecycle_core::backend::ErrorKind;
use lifecycle_prom::{ConfigError, Connection, PrometheusSource};

use super::support::server::{Reply, Server};
use super::{error, over};

#[tokio::test]
async fn whoever_asks_says_who_it_is() {
    let server = Server::start(|_| Reply::new(401, "who are you?")).await;
    let with_password = server.url().replace("http://", "http://me:pass%40word@");
    let connection = || Connection::new(&server.url()).unwrap();
    for (connection, header) in [
        (connection().basic_auth("me", "pass@word"), "authorization: basic bwu6cgfzc0b3b3jk"),
        (Connection::new(&with_password).unwrap(), "authorization: basic bwu6cgfzc0b3b3jk"),
        (connection().bearer_token("abc").unwrap(), "authorization: bearer abc"),
        (connection().header("X-Scope-OrgID", "edge").unwrap(), "x-scope-orgid: edge"),
    ] {
        let error = error(over(connection)).await;
        assert_eq!(error.kind, ErrorKind::Unauthorized);
        assert!(!error.to_string().contains("pass"), "{error}");
        let last = server.requests().pop().unwrap().to_ascii_lowercase();
        assert!(last.contains(&format!("{header}\r\n")), "{header}: {last}");
    }
}

#[tokio::test]
async fn a_token_in_a_file_is_read_again_when_it_has_changed() {
    let server = Server::start(|_| Reply::new(401, "who are you?")).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let connection = Connection::new(&server.url()).unwrap().bearer_token_file(&file);
    let source = PrometheusSource::new(over(connection).rest(std::time::Duration::ZERO)).unwrap();
    let ask = async || super::one_of(&source).await.unwrap_err();
    let sent = |token: &str| {
        let last = server.requests().pop().unwrap().to_ascii_lowercase();
        assert!(last.contains(&format!("authorization: bearer {token}\r\n")), "{token}: {last}");
    };
    ask().await;
    sent("first");
    // as the kubelet writes it: another file in its place
    let next = dir.path().join("next");
    std::fs::write(&next, "the-second").unwrap();
    std::fs::rename(&next, &file).unwrap();
    let error = ask().await;
    sent("the-second");
    assert!(!error.to_string().contains("second"), "{error}");
    let asked = server.requests().len();
    std::fs::remove_file(&file).unwrap();
    let error = ask().await;
    assert_eq!((error.kind, server.requests().len()), (ErrorKind::Unauthorized, asked));
    assert!(error.message.contains("token: cannot be read: No such file"), "{error}");
}

#[test]
fn a_token_that_cannot_be_used_is_known_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let check = |said: &str| {
        let connection = Connection::new("http://127.0.0.1:1").unwrap().bearer_token_file(&file);
        let error = PrometheusSource::new(over(connection)).unwrap_err();
        assert!(matches!(error, ConfigError::File { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("the bearer token {}: ", file.display())), "{text}");
        assert!(text.contains(said) && !text.contains("tok3n"), "{text}");
    };
    check("cannot be read: No such file");
    std::fs::write(&file, " \n").unwrap();
    check("the file is empty: write the token in it");
    std::fs::write(&file, "tok3n\nand more").unwrap();
    check("it has characters that no header has: write the token alone");
}
