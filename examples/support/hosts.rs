//! Under which names a service answers while it hands out tokens to whoever asks.
//!
//! A page of somewhere else may have its own name lead to this machine, and is of the service's origin then as far as a browser can
//! tell. The name is still in `Host`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::problem::Problem;

/// The names that are the service's own; all, where nothing is to be had for asking.
#[derive(Clone, Debug)]
pub(crate) struct OwnHosts(Option<Arc<[String]>>);

impl OwnHosts {
    /// Any name.
    pub(crate) const fn any() -> Self {
        Self(None)
    }

    /// Addresses, `localhost`, and the hosts of these origins.
    pub(crate) fn with_origins(origins: &[HeaderValue]) -> Self {
        let authorities = origins.iter().filter_map(|origin| origin.to_str().ok()?.split_once("://"));
        let hosts = authorities.filter_map(|(_, authority)| host(authority));
        Self(Some(hosts.collect()))
    }

    /// Answers 421 to who asks for another's name. What no browser sends, a request without a name, passes.
    pub(crate) async fn only(State(own): State<Self>, request: Request, next: Next) -> Response {
        let mut named = request.headers().get_all(header::HOST).into_iter().map(|host| host.to_str().ok());
        let is_own = named.all(|host| host.is_some_and(|host| own.has(host)))
            && request.uri().authority().is_none_or(|authority| own.has(authority.as_str()));
        if is_own {
            return next.run(request).await;
        }
        let detail =
            "while tokens are handed out to whoever asks, the service answers under its own address alone";
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", detail).into_response()
    }

    fn has(&self, authority: &str) -> bool {
        let Some(named) = &self.0 else { return true };
        host(authority).is_some_and(|host| {
            // An address leads nowhere else.
            let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
            address.parse::<IpAddr>().is_ok()
                || host == "localhost"
                || host.ends_with(".localhost")
                || named.contains(&host)
        })
    }
}

fn host(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    Some(authority.host().trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use axum::{Router, middleware};

    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_here_is_not_ours_unless_it_is_told() {
        let origins = [HeaderValue::from_static("https://Club.example:8443")];
        let ours = OwnHosts::with_origins(&origins);
        for (own, host, status) in [
            (&ours, Some("127.0.0.1:8787"), StatusCode::OK),
            (&ours, Some("[::1]:8787"), StatusCode::OK),
            (&ours, Some("192.0.2.7"), StatusCode::OK),
            (&ours, Some("LocalHost:8787"), StatusCode::OK),
            (&ours, Some("club.example"), StatusCode::OK),
            (&ours, None, StatusCode::OK),
            (&ours, Some("rebound.example:8787"), StatusCode::MISDIRECTED_REQUEST),
            (&ours, Some("127.0.0.1.rebound.example"), StatusCode::MISDIRECTED_REQUEST),
            (&ours, Some("localhost.rebound.example"), StatusCode::MISDIRECTED_REQUEST),
            (&ours, Some(""), StatusCode::MISDIRECTED_REQUEST),
            (&OwnHosts::any(), Some("rebound.example"), StatusCode::OK),
        ] {
            let router = Router::new()
                .route("/", get(|| async { "ours" }))
                .layer(middleware::from_fn_with_state(own.clone(), OwnHosts::only));
            let request =
                host.map_or_else(|| Request::get("/"), |host| Request::get("/").header("host", host));
            let request = request.body(Body::empty()).unwrap();
            let answer = tower_service::Service::call(&mut router.into_service::<Body>(), request).await;
            assert_eq!(answer.unwrap().status(), status, "{host:?}");
        }
    }
}
