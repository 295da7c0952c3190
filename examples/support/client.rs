//! From which address somebody asks, also from behind proxies.

use std::env;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;

/// The variable that tells how many proxies of one's own stand in front of a service; none without it.
pub const PROXIES: &str = "PUMASI_TRUSTED_PROXIES";

/// The address of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client(pub IpAddr);

impl Client {
    /// The address as far as it tells one client from another: of IPv6 the network of 64 bits, all of which a client has.
    pub fn network(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        }
    }
}

/// How many proxies are believed, each of which adds the address that it was asked from to `X-Forwarded-For`.
#[derive(Clone, Copy, Debug)]
pub struct Proxies(usize);

impl Proxies {
    /// Reads [`PROXIES`].
    ///
    /// # Errors
    ///
    /// If it is no number.
    pub fn from_env() -> Result<Self, String> {
        match env::var(PROXIES).ok().filter(|number| !number.is_empty()) {
            None => Ok(Self(0)),
            Some(number) => {
                number.parse().map(Self).map_err(|_| format!("{PROXIES} is a number of proxies, like 1"))
            }
        }
    }

    /// Lets what stands behind this know the [`Client`].
    pub async fn know_client(State(proxies): State<Self>, mut request: Request, next: Next) -> Response {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        if let Some(client) = proxies.client(peer, request.headers()) {
            request.extensions_mut().insert(Client(client));
        }
        next.run(request).await
    }

    /// The address that the outermost of our proxies was asked from: what stands before that in the header, anybody may have
    /// written.
    fn client(self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let Some(inner) = self.0.checked_sub(1) else { return peer };
        let told = headers.get_all("x-forwarded-for").into_iter().filter_map(|value| value.to_str().ok());
        let addresses: Vec<&str> = told.flat_map(|value| value.split(',')).map(str::trim).collect();
        addresses.iter().rev().nth(inner).and_then(|address| address.parse().ok()).or(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_network_of_ipv6_are_one_client() {
        let network = |address: &str| Client(address.parse().unwrap()).network().to_string();
        assert_eq!(network("2001:db8:1:2:a:b:c:d"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(network("203.0.113.7"), "203.0.113.7");
    }

    #[test]
    fn only_what_our_proxies_wrote_is_believed() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "6.6.6.6, 203.0.113.7".parse().unwrap());
        headers.append("x-forwarded-for", "10.0.0.1".parse().unwrap());
        let peer: Option<IpAddr> = Some([10, 0, 0, 2].into());
        let client = |proxies| Proxies(proxies).client(peer, &headers).unwrap().to_string();
        assert_eq!([client(0), client(1), client(2)], ["10.0.0.2", "10.0.0.1", "203.0.113.7"]);
        assert_eq!(client(9), "10.0.0.2", "nobody asked from so far away");
        headers.insert("x-forwarded-for", "no address".parse().unwrap());
        assert_eq!(Proxies(1).client(peer, &headers), peer);
    }
}
