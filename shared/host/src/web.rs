//! The client for addresses that people wrote into documents. It reaches public hosts and nothing else: what a name
//! resolves to is looked at where the connection is made, so that a name cannot be one thing when it is checked and
//! another when it is used.

use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError, SharedDnsResolver};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The variable that lets more be reached: `loopback`, or addresses, separated by commas. For one machine and tests; the
/// template never sets it.
pub const ALLOW: &str = "SLUICE_WEB_ALLOW";

/// Bytes of an answer that are read; what comes after them is not looked at.
const LONGEST_ANSWER: usize = 256 * 1024;

/// What this client does not call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Private networks, this machine, a cloud's metadata and the like.
    #[error("the address is not public")]
    NotPublic,
    /// Neither the ports of the web nor one above 1023.
    #[error("the port is none that web servers have")]
    Port,
    /// Not `http` or `https` with a host, or with a user in it.
    #[error("the URL is not http(s)://host/…")]
    Url,
}

/// A client for public hosts, and for what `allow` names.
pub fn client(allow: Option<&str>) -> SharedHttpClient {
    client_by(allow, Machine)
}

/// The same where `names` says what names lead to. It is believed no more than this machine is.
pub fn client_by(allow: Option<&str>, names: impl ResolveDns + 'static) -> SharedHttpClient {
    let allow = Allowed::read(allow.unwrap_or_default());
    let resolver = Resolver { allow: allow.clone(), names: SharedDnsResolver::new(names) };
    let inner = Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_with_resolver(resolver);
    SharedHttpClient::new(Guarded { allow, inner })
}

/// What may be reached besides public hosts.
#[derive(Clone, Debug, Default)]
struct Allowed(Arc<Vec<Exception>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exception {
    Loopback,
    Address(IpAddr),
}

impl Allowed {
    /// A word that is none of these allows nothing.
    fn read(text: &str) -> Self {
        let words = text.split(',').map(str::trim);
        let read = |word: &str| match word {
            "loopback" => Some(Exception::Loopback),
            word => word.parse().ok().map(Exception::Address),
        };
        Self(Arc::new(words.filter_map(read).collect()))
    }

    fn reaches(&self, address: IpAddr) -> bool {
        let is_excepted = |exception: &Exception| match exception {
            Exception::Loopback => address.is_loopback(),
            Exception::Address(allowed) => *allowed == address,
        };
        is_public(address) || self.0.iter().any(is_excepted)
    }

    /// Looks at everything that can be seen before a name is resolved. Literal addresses never are.
    fn check(&self, uri: &str) -> Result<(), Forbidden> {
        let uri: http::Uri = uri.parse().map_err(|_| Forbidden::Url)?;
        let authority = uri.authority().ok_or(Forbidden::Url)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.as_str().contains('@') {
            return Err(Forbidden::Url);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16();
        if host.is_empty() || (port.is_none() && authority.as_str().ends_with(':')) {
            return Err(Forbidden::Url);
        }
        let is_reached = match host.parse::<IpAddr>() {
            Ok(address) => self.reaches(address),
            Err(_) => !is_number(host),
        };
        if !is_reached {
            return Err(Forbidden::NotPublic);
        }
        match port {
            None | Some(80 | 443 | 1024..) => Ok(()),
            Some(_) => Err(Forbidden::Port),
        }
    }
}

/// Whether a host ends in a number, as no name does: an address as only some resolvers read it (`127.1`, `0x7f000001`), and TLS
/// never. (WHATWG, URL, "ends in a number".)
fn is_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_hex = hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_hex || !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether an address is one of the internet's hosts. (IANA, special-purpose address registries.)
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_special = match address.octets() {
        // This network, private, shared by a carrier's customers, this machine.
        [0 | 10 | 127, ..] | [100, 64..=127, ..] => true,
        // This link, where clouds have their metadata; private.
        [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..] => true,
        // Protocols, documentation, relays that are gone, benchmarks.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            true
        }
        // Groups, reserved, everybody.
        [224..=255, ..] => true,
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // What a network without IPv4 makes of an IPv4 host (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        }
        // Protocols and tunnels (Teredo among them), documentation, tunnels.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // All that is given out. Outside are this machine, links, private networks, groups, and IPv4 in other clothes.
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

/// What this machine makes of names.
#[derive(Clone, Debug)]
struct Machine;

impl ResolveDns for Machine {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = tokio::net::lookup_host((name, 0)).await.map_err(ResolveDnsError::new)?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Resolves names to what may be reached.
#[derive(Clone, Debug)]
struct Resolver {
    allow: Allowed,
    names: SharedDnsResolver,
}

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = self.names.resolve_dns(name).await?.into_iter();
            let reached: Vec<IpAddr> = found.filter(|address| self.allow.reaches(*address)).collect();
            match reached.is_empty() {
                true => Err(ResolveDnsError::new(Forbidden::NotPublic)),
                false => Ok(reached),
            }
        })
    }
}

#[derive(Clone, Debug)]
struct Guarded {
    allow: Allowed,
    inner: SharedHttpClient,
}

impl HttpClient for Guarded {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(GuardedConnector { allow: self.allow.clone(), inner })
    }
}

#[derive(Debug)]
struct GuardedConnector {
    allow: Allowed,
    inner: SharedHttpConnector,
}

impl HttpConnector for GuardedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if let Err(forbidden) = self.allow.check(request.uri()) {
            return HttpConnectorFuture::ready(Err(ConnectorError::user(forbidden.into())));
        }
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let left = LONGEST_ANSWER;
            Ok(answer.await?.map(|body| SdkBody::from_body_1_x(Shortened { body, left })))
        })
    }
}

/// The beginning of a body.
struct Shortened {
    body: SdkBody,
    left: usize,
}

impl Body for Shortened {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|mut data: Bytes| {
                    data.truncate(self.left);
                    self.left -= data.len();
                    data
                })
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internets_hosts_are_public() {
        let public = [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00::1",
            "64:ff9b::808:808",
        ];
        let special = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::ffff:0:7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in special {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_url_is_looked_at_before_anything_is_resolved() {
        let check = |allow: &str, url: &str| Allowed::read(allow).check(url);
        for url in [
            "https://hooks.example.com/a?b",
            "http://hooks.example.com:8080/",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]:443/",
            "https://hooks.example.com:443",
            "https://hooks.0xample.com./",
            "https://1.hooks.x1/",
        ] {
            assert_eq!(check("", url), Ok(()), "{url}");
        }
        for url in [
            "http://127.0.0.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]:8787/",
            "http://[::ffff:127.0.0.1]/",
            "http://10.0.0.1:8080/",
            "https://127.1/",
            "https://2130706433:8443/",
            "https://0x7f.0X1./",
            "https://hooks.example.1/",
        ] {
            assert_eq!(check("", url), Err(Forbidden::NotPublic), "{url}");
        }
        for url in
            ["http://hooks.example.com:25/", "http://hooks.example.com:22/", "https://hooks.example.com:0/"]
        {
            assert_eq!(check("", url), Err(Forbidden::Port), "{url}");
        }
        for url in [
            "ftp://hooks.example.com/",
            "/path",
            "",
            "https://",
            "https://user@hooks.example.com/",
            "https://hooks.example.com@127.0.0.1/",
            "file:///etc/passwd",
        ] {
            assert_eq!(check("", url), Err(Forbidden::Url), "{url}");
        }
        assert_eq!(check("loopback", "http://127.0.0.1:8787/"), Ok(()));
        assert_eq!(check("loopback", "http://10.0.0.1/"), Err(Forbidden::NotPublic));
        assert_eq!(check("nonsense, 10.0.0.1", "http://10.0.0.1/"), Ok(()));
        assert_eq!(check("10.0.0.1", "http://10.0.0.2/"), Err(Forbidden::NotPublic));
    }

    /// Writings of addresses that the machine's resolver understands and a reader may not.
    #[tokio::test]
    async fn a_name_that_is_this_machine_is_not_resolved() {
        let names = ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0"];
        let resolver = |allow| Resolver { allow, names: SharedDnsResolver::new(Machine) };
        for name in names {
            let refused = resolver(Allowed::default()).resolve_dns(name).await;
            assert!(refused.is_err(), "{name}: {refused:?}");
        }
        let allowed = resolver(Allowed::read("loopback"));
        assert!(allowed.resolve_dns("localhost").await.unwrap().iter().all(IpAddr::is_loopback));
    }
}
