//! Header fields that belong to one connection, and those that a proxy adds.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, Entry, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::request;
use hyper::http::uri::{PathAndQuery, Uri};
use hyper::{Method, Version};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Removes what belongs to one connection only (RFC 9110, section 7.6.1).
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            // a client cannot have the fields removed that say where a request goes and ends
            .filter(|name| ![HOST, CONTENT_LENGTH].contains(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// The protocol that a request wants to switch to.
pub(crate) fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let protocol = headers.get(UPGRADE)?;
    connection_says(headers, "upgrade").then(|| protocol.clone())
}

/// Does the sender close the connection after this?
pub(crate) fn closes(headers: &HeaderMap) -> bool {
    connection_says(headers, "close")
}

fn connection_says(headers: &HeaderMap, word: &str) -> bool {
    let mut said = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    said.any(|said| said.trim().eq_ignore_ascii_case(word))
}

/// Puts the fields of a switch of protocols back.
pub(crate) fn put_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Makes the head of a client's request the head of a request to a replica. The client's `Host` stays.
pub(crate) fn to_upstream(head: &mut request::Parts, client: IpAddr, listen: SocketAddr, streams: bool) {
    remove_hop_by_hop(&mut head.headers);
    // The proxy itself says 100 Continue, as soon as the replica has taken the head.
    head.headers.remove(EXPECT);
    head.version = Version::HTTP_11;
    if let Some(authority) = head.uri.authority() {
        // the absolute form names the host, whatever the field says (RFC 9112, section 3.2.2)
        if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
            head.headers.insert(HOST, host);
        }
        let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        head.uri = Uri::from(path);
    }
    if let Entry::Vacant(host) = head.headers.entry(HOST)
        && let Ok(own) = HeaderValue::from_str(&listen.to_string())
    {
        host.insert(own);
    }
    if streams && !head.headers.contains_key(CONTENT_LENGTH) {
        // without it a GET with a body would lose that
        head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    add_forwarded(&mut head.headers, client);
}

fn add_forwarded(headers: &mut HeaderMap, client: IpAddr) {
    let mut forwarded = String::new();
    for before in headers.get_all(FORWARDED_FOR) {
        if let Ok(before) = before.to_str() {
            forwarded.push_str(before);
            forwarded.push_str(", ");
        }
    }
    forwarded.push_str(&client.to_string());
    if let Ok(value) = HeaderValue::try_from(forwarded) {
        headers.insert(FORWARDED_FOR, value);
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
}

/// May a request be sent once more when its connection turned out to be closed? Safe methods ask for
/// nothing to be changed (RFC 9110, sections 9.2.1 and 9.2.2).
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn forwarded(request: hyper::http::request::Builder) -> request::Parts {
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        to_upstream(&mut head, "10.1.2.3".parse().unwrap(), "127.0.0.1:80".parse().unwrap(), false);
        head
    }

    #[test]
    fn fields_of_one_connection_do_not_travel() {
        let head = forwarded(
            Request::get("/a")
                .header("host", "shop.example")
                .header("connection", "close, x-secret, host")
                .header("x-secret", "1")
                .header("keep-alive", "timeout=5")
                .header("te", "trailers")
                .header("upgrade", "h2c")
                .header("expect", "100-continue")
                .header("x-kept", "2"),
        );
        let mut names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["host", "x-forwarded-for", "x-forwarded-proto", "x-kept"]);
        assert_eq!(head.headers["host"], "shop.example");
    }

    #[test]
    fn the_client_is_appended_to_those_it_came_through() {
        let head = forwarded(
            Request::get("/").header("x-forwarded-for", "1.1.1.1").header("x-forwarded-for", "2.2.2.2"),
        );
        assert_eq!(head.headers["x-forwarded-for"], "1.1.1.1, 2.2.2.2, 10.1.2.3");
    }

    #[test]
    fn an_absolute_target_becomes_a_path_and_a_host() {
        let head = forwarded(Request::get("http://shop.example:81/a?b=c").header("host", "other"));
        assert_eq!(
            (head.uri.to_string().as_str(), head.headers["host"].to_str().unwrap()),
            ("/a?b=c", "shop.example:81")
        );
    }

    #[test]
    fn an_upgrade_is_wanted_when_connection_says_so() {
        let wanted = |connection: &str| {
            let (head, ()) = Request::get("/")
                .header("upgrade", "websocket")
                .header("connection", connection)
                .body(())
                .unwrap()
                .into_parts();
            wanted_upgrade(&head.headers).is_some()
        };
        assert!(wanted("keep-alive, Upgrade") && !wanted("keep-alive"));
    }
}
