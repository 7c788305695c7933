//! Company domains: the part of an e-mail address or website that a company registered.

use super::Email;
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// A registrable domain (`acme.co.uk` of `mail.eu.acme.co.uk`) that says for whom somebody works: in lower case, as
/// A-label. What may be registered under what is the Public Suffix List's to say (publicsuffix.org, compiled in).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompanyDomain(String);

impl CompanyDomain {
    /// The company behind an e-mail address. `None` for mailboxes that anybody can have (`gmail.com`, `qq.com`,
    /// `yahoo.co.jp`, a customer's address at an access provider, throw-away addresses).
    pub fn of_email(email: &Email) -> Option<Self> {
        Self::of_host(email.domain(), &[Kind::Mail])
    }

    /// The company behind a website as people write it: `https://www.acme.de/about`, `acme.de`, `Bücher.example:8080`.
    /// `None` for addresses without a name, and for pages at a host that is not the company's (`facebook.com/acme`).
    pub fn of_website(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > MAX_BYTES {
            return None;
        }
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        let host = authority.rsplit('@').next()?.split(':').next()?.trim_end_matches('.');
        let host = idna::domain_to_ascii_strict(host).ok()?;
        // No top-level domain is a number (RFC 3696 section 2): this is an IPv4 address.
        let is_address = host.rsplit('.').next()?.chars().all(|c| c.is_ascii_digit());
        if is_address { None } else { Self::of_host(&host, &[Kind::Mail, Kind::Page]) }
    }

    /// The domain.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of_host(host: &str, excluded: &[Kind]) -> Option<Self> {
        let domain = psl::domain_str(host)?;
        let suffix = psl::suffix_str(host)?;
        let brand = domain.strip_suffix(suffix)?.trim_end_matches('.');
        if LOCAL.contains(&suffix) || brand.is_empty() {
            return None;
        }
        let listed = |name: &str| EVERYBODYS.get(name).is_some_and(|kind| excluded.contains(kind));
        let above = std::iter::successors(Some(host), |name| Some(name.split_once('.')?.1));
        (!listed(brand) && !above.into_iter().any(listed)).then(|| Self(domain.to_owned()))
    }
}

impl fmt::Display for CompanyDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for CompanyDomain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Longer than any URL that somebody types.
const MAX_BYTES: usize = 2_000;

/// Suffixes that only mean something inside a house (RFC 6761, RFC 6762 appendix G).
const LOCAL: [&str; 10] = [
    "local",
    "localhost",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "invalid",
    "private",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Anybody can have a mailbox there.
    Mail,
    /// Anybody can have a page there.
    Page,
}

static EVERYBODYS: LazyLock<HashMap<&'static str, Kind>> = LazyLock::new(|| {
    let mut kind = Kind::Mail;
    let mut all = HashMap::new();
    for line in include_str!("free_mail.txt").lines().filter(|line| !line.starts_with('#')) {
        match line {
            "[mail]" => kind = Kind::Mail,
            "[page]" => kind = Kind::Page,
            name => drop(all.insert(name, kind)),
        }
    }
    all
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_email(text: &str) -> Option<String> {
        CompanyDomain::of_email(&Email::parse(text).unwrap()).map(|domain| domain.to_string())
    }

    fn of_website(text: &str) -> Option<String> {
        CompanyDomain::of_website(text).map(|domain| domain.to_string())
    }

    #[test]
    fn a_company_is_what_was_registered() {
        for (email, domain) in [
            ("mia@acme.com", "acme.com"),
            ("mia@Mail.EU.Acme.co.uk", "acme.co.uk"),
            ("mia@acme.com.cn", "acme.com.cn"),
            ("mia@bücher.de", "xn--bcher-kva.de"),
            ("mia@sales.shop.example", "shop.example"),
            ("mia@web.de.acme.com", "acme.com"),
            ("mia@notgmail.com", "notgmail.com"),
            ("mia@facebook.com", "facebook.com"),
        ] {
            assert_eq!(of_email(email).as_deref(), Some(domain), "{email}");
        }
        for (website, domain) in [
            ("https://www.acme.de/about?x=1", "acme.de"),
            ("acme.de", "acme.de"),
            (" HTTP://user:key@Shop.Acme.de:8080/ ", "acme.de"),
            ("bücher.de", "xn--bcher-kva.de"),
            ("acme.github.io/docs", "acme.github.io"),
        ] {
            assert_eq!(of_website(website).as_deref(), Some(domain), "{website}");
        }
    }

    #[test]
    fn a_mailbox_that_anybody_can_have_is_no_company() {
        for email in [
            "a@gmail.com",
            "a@googlemail.com",
            "a@qq.com",
            "a@vip.163.com",
            "a@126.com",
            "a@foxmail.com",
            "a@sina.com.cn",
            "a@web.de",
            "a@gmx.net",
            "a@gmx.at",
            "a@t-online.de",
            "a@mail.ru",
            "a@yandex.ru",
            "a@yandex.com.tr",
            "a@yahoo.co.jp",
            "a@hotmail.fr",
            "a@orange.fr",
            "a@libero.it",
            "a@wp.pl",
            "a@naver.com",
            "a@bol.com.br",
            "a@privaterelay.appleid.com",
            "a@mailinator.com",
        ] {
            assert_eq!(of_email(email), None, "{email}");
        }
    }

    #[test]
    fn what_has_no_registered_name_is_no_company() {
        for website in [
            "",
            "n/a",
            "none",
            "co.uk",
            "http://",
            "10.0.0.1",
            "http://[::1]/",
            "localhost:3000",
            "server.local",
            "https://facebook.com/acme",
            "weibo.com/acme",
            "https://www.linkedin.com/company/acme",
            "no website yet",
        ] {
            assert_eq!(of_website(website), None, "{website}");
        }
    }

    #[test]
    fn the_list_names_each_domain_once() {
        let names = include_str!("free_mail.txt").lines().filter(|l| !l.starts_with(['#', '[']));
        assert_eq!(names.clone().count(), EVERYBODYS.len());
        for name in names {
            assert!(
                !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c)),
                "{name:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_left(text in any::<String>()) {
            if let Some(domain) = CompanyDomain::of_website(&text) {
                prop_assert_eq!(CompanyDomain::of_website(domain.as_str()), Some(domain));
            }
        }
    }
}
