//! What a client sends and nobody is to read again, whatever a server echoes.

use std::collections::HashSet;
use std::fmt;

use reqwest::header::HeaderMap;
use reqwest::{Client, Url};

use super::config::ApiKey;

/// How long a part of a secret gives it away.
const PART: usize = 8;

/// Headers and parameters of which the value is no secret, beside those whose names end as [`PUBLIC_ENDS`] do.
const PUBLIC: [&str; 13] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "alt",
    "api-type",
    "content-type",
    "deployment",
    "deployment-id",
    "http-referer",
    "model",
    "referer",
    "user-agent",
    "x-title",
];
const PUBLIC_ENDS: [&str; 2] = ["version", "beta"];

/// The secrets of one client: its key, the password in its address, and the values of its headers and of its address's query
/// that are at least eight bytes long and not known to be public.
///
/// They are found in any letter case, and so is any part of them of eight bytes.
#[derive(Default)]
pub(super) struct Secrets {
    /// Every run of that many bytes, in lower case.
    parts: HashSet<[u8; PART]>,
    /// Those that are shorter, in lower case.
    short: Vec<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Secrets {
    /// Gathers what a request to `url` with these headers would tell of a client.
    pub(super) fn of(
        client: &Client,
        url: &Url,
        headers: &HeaderMap,
        key: Option<&ApiKey>,
        model: &str,
    ) -> Self {
        let mut this = Self::default();
        if let Some(key) = key {
            this.add(key.expose());
        }
        // a request as it is sent has the credentials of its address as a header
        let sent = client.post(url.clone()).headers(headers.clone()).build();
        let sent = sent.as_ref().map_or(headers, reqwest::Request::headers);
        for (name, value) in sent {
            let value = String::from_utf8_lossy(value.as_bytes());
            for word in value.split_ascii_whitespace().filter(|word| *word != model) {
                this.add_value(name.as_str(), word);
            }
        }
        for (name, value) in url.query_pairs().filter(|(_, value)| value != model) {
            this.add_value(&name, &value);
        }
        for pair in url.query().unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some((name, value)) if value != model => this.add_value(name, value),
                Some(_) => {}
                None => this.add_value("", pair),
            }
        }
        this.add_value("", url.username());
        this.add(url.password().unwrap_or_default());
        this
    }

    /// Takes a secret of any length.
    pub(super) fn add(&mut self, secret: &str) {
        let secret = secret.to_ascii_lowercase();
        match secret.len() {
            0 => {}
            1..PART => self.short.push(secret),
            _ => self.parts.extend(secret.as_bytes().array_windows().copied()),
        }
    }

    fn add_value(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        let is_public = PUBLIC.contains(&name.as_str()) || PUBLIC_ENDS.iter().any(|end| name.ends_with(end));
        if value.len() >= PART && !is_public {
            self.add(value);
        }
    }

    /// Tells whether a text has a secret in it, or a part of one.
    pub(super) fn are_in(&self, text: &str) -> bool {
        !self.places(&text.to_ascii_lowercase()).is_empty()
    }

    /// Replaces the secrets, and their parts, in a text.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (start, end) in self.places(&text.to_ascii_lowercase()) {
            let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(end));
            out.push_str(text.get(done..start).unwrap_or_default());
            if start >= done {
                out.push_str("[redacted]");
            }
            done = done.max(end);
        }
        out.push_str(text.get(done..).unwrap_or_default());
        out
    }

    /// Finds where the secrets are in a text in lower case: in order, and none touching the next.
    fn places(&self, text: &str) -> Vec<(usize, usize)> {
        let parts = text.as_bytes().array_windows().enumerate();
        let mut found: Vec<(usize, usize)> =
            parts.filter(|(_, part)| self.parts.contains(*part)).map(|(at, _)| (at, at + PART)).collect();
        for secret in &self.short {
            found.extend(text.match_indices(secret.as_str()).map(|(at, _)| (at, at + secret.len())));
        }
        found.sort_unstable();
        found.dedup_by(|next, last| {
            let touches = next.0 <= last.1;
            if touches {
                last.1 = last.1.max(next.1);
            }
            touches
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str, headers: &[(&'static str, &'static str)]) -> Secrets {
        let value = |value| reqwest::header::HeaderValue::from_static(value);
        let name = |name| reqwest::header::HeaderName::from_static(name);
        let headers = headers.iter().map(|(key, text)| (name(key), value(text))).collect();
        let client = Client::builder().no_proxy().build().unwrap();
        Secrets::of(&client, &Url::parse(url).unwrap(), &headers, None, "my-model-name")
    }

    #[test]
    fn secrets_are_replaced_in_part_in_any_case_and_in_whole() {
        let mut secrets = Secrets::default();
        secrets.add("Sesame-Open-Now");
        secrets.add("pw");
        secrets.add("");
        for (text, redacted) in [
            ("key sesame-open-now!", "key [redacted]!"),
            ("가sesame-o나 pw", "가[redacted]나 [redacted]"),
            ("SESAME-OPEN-NOWpw-pw", "[redacted]-[redacted]"),
            ("sesame open", "sesame open"),
            ("", ""),
        ] {
            assert_eq!(secrets.redact(text), redacted);
            assert_eq!(secrets.are_in(text), text != redacted, "{text}");
        }
        assert_eq!(format!("{secrets:?}"), "[redacted]");
        assert!(!Secrets::default().are_in("anything"));
    }

    #[test]
    fn values_are_secrets_unless_they_are_short_or_public() {
        let secrets = of(
            "https://user-name:pw@h/v1/in-the-path?api-version=2024-06-01-preview&a%20b=c%20d%20e%20f%20g&on=1&model=my-model-name&lone-secret",
            &[
                ("x-gateway-key", "gateway-key"),
                ("authorization", "Bearer the-token"),
                ("x-route", "my-model-name"),
                ("anthropic-version", "2023-06-01"),
                ("user-agent", "agent/1234"),
                ("x-on", "true"),
            ],
        );
        for hidden in
            ["user-name", "apw", "c d e f g", "c%20d%20e%20f%20g", "lone-secret", "gateway-key", "the-token"]
        {
            assert!(secrets.are_in(hidden), "{hidden}");
        }
        for shown in [
            "2024-06-01-preview",
            "2023-06-01",
            "agent/1234",
            "my-model-name",
            "in-the-path",
            "true",
            "Bearer",
        ] {
            assert!(!secrets.are_in(shown), "{shown}");
        }
        // that of the address's credentials, as a header carries it
        assert!(of("https://user:pass@h/", &[]).are_in("Basic dXNlcjpwYXNz"));
    }
}
