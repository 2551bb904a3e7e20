//! Addresses that can be asked.

use reqwest::Url;

use crate::error::{ConfigError, quoted};

/// The address of something that is served over HTTP.
pub(crate) fn parse(field: &str, text: &str, example: &str) -> Result<Url, ConfigError> {
    let shown = quoted(without_secrets(text));
    let wrong =
        |problem: &str| ConfigError::new(field, format!("{shown} {problem}; write one like {example}"));
    let url = Url::parse(text).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("does not begin with http:// or https://"));
    }
    if url.fragment().is_some() {
        return Err(wrong("has a fragment, which is never sent"));
    }
    if url.port() == Some(0) {
        return Err(wrong("has port 0, where nothing listens"));
    }
    Ok(url)
}

/// The address that paths are asked under.
pub(crate) fn base(field: &str, text: &str) -> Result<Url, ConfigError> {
    let example = "http://127.0.0.1:8080";
    let url = parse(field, text, example)?;
    if url.query().is_some() {
        let shown = quoted(without_secrets(text));
        let problem = "has a query, which belongs to the path of the probe; write one like";
        return Err(ConfigError::new(field, format!("{shown} {problem} {example}")));
    }
    Ok(url)
}

/// This path, which may have a query, under the path of the base.
pub(super) fn join(base: &Url, path: &str) -> Url {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

/// What cannot be parsed may still have a password or a token in it.
fn without_secrets(text: &str) -> &str {
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    text.split_once('?').map_or(text, |(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_refused_with_what_is_wrong_and_without_its_password() {
        for (text, said) in [
            ("", r#"url: "" is not a URL: relative URL without a base"#),
            ("/ready", r#"url: "/ready" is not a URL: relative URL without a base"#),
            ("http://", r#"url: "http://" is not a URL: empty host"#),
            ("http://h:99999", r#"url: "http://h:99999" is not a URL: invalid port number"#),
            ("http://me:secret@h h?token=secret", r#"url: "h h" is not a URL: invalid international domain"#),
            ("localhost:8080", r#"url: "localhost:8080" does not begin with http:// or https://"#),
            ("unix:///run/it.sock", r#"url: "unix:///run/it.sock" does not begin with http:// or https://"#),
            ("ftp://me:secret@h/x", r#"url: "h/x" does not begin with http:// or https://"#),
            ("file:///etc/passwd", r#"url: "file:///etc/passwd" does not begin with http:// or https://"#),
            ("http://h/#top", r#"url: "http://h/#top" has a fragment, which is never sent"#),
            ("http://h:0/", r#"url: "http://h:0/" has port 0, where nothing listens"#),
        ] {
            let error = parse("url", text, "http://db/x").unwrap_err().to_string();
            assert!(error.starts_with(said) && error.ends_with("; write one like http://db/x"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert_eq!(
            base("base", "http://h/?token=secret").unwrap_err().to_string(),
            "base: \"http://h/\" has a query, which belongs to the path of the probe; write one like http://127.0.0.1:8080"
        );
    }

    #[test]
    fn a_path_is_asked_under_the_base_and_on_no_other_host() {
        for (under, path, expected) in [
            ("http://h:8080", "/ready", "http://h:8080/ready"),
            ("http://h:8080/", "/ready?full=1&x=%2F", "http://h:8080/ready?full=1&x=%2F"),
            ("https://h/app/", "/ready", "https://h/app/ready"),
            ("https://h/app", "/", "https://h/app/"),
            ("http://[::1]:1", "/a%20b?", "http://[::1]:1/a%20b?"),
            ("http://h", "//evil.example/x", "http://h//evil.example/x"),
            ("http://h", "/\\evil.example", "http://h//evil.example"),
            ("http://h", "/a#b", "http://h/a%23b"),
            ("http://h", "/a@evil.example:1", "http://h/a@evil.example:1"),
        ] {
            let url = join(&base("base", under).unwrap(), path);
            assert_eq!((url.as_str(), url.host_str()), (expected, base("base", under).unwrap().host_str()));
        }
    }
}
