//! Addresses of SNS's own. Nothing else is ever called because a message says so.

/// Whether an address is one of SNS's: `https`, the host of a region, no port and nobody's name before it.
pub fn is_of_sns(url: &str) -> bool {
    rest_of_sns(url).is_some()
}

/// Whether an address is one of a certificate of SNS's.
pub(super) fn is_certificate(url: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
    rest_of_sns(url).is_some_and(|path| {
        path.starts_with('/') && path.ends_with(".pem") && path.bytes().all(plain) && !path.contains("..")
    })
}

/// What follows the host `sns.<region>.amazonaws.com`, or the same in China.
fn rest_of_sns(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://")?;
    let (host, rest) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
    let host = host.strip_suffix(".cn").unwrap_or(host);
    let region = host.strip_prefix("sns.")?.strip_suffix(".amazonaws.com")?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (region.len() >= 3 && region.bytes().all(plain)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sns_is_called() {
        for url in [
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/a/b_c.pem",
        ] {
            assert!(is_of_sns(url) && is_certificate(url), "{url}");
        }
        let confirm = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=1";
        assert!(is_of_sns(confirm) && !is_certificate(confirm));
        for url in [
            "",
            "sns.us-east-1.amazonaws.com/a.pem",
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "HTTPS://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.example/a.pem",
            "https://sns.us-east-1.amazonaws.com.cn.evil.example/a.pem",
            "https://evil.example/sns.us-east-1.amazonaws.com/a.pem",
            "https://evil.example#sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com@evil.example/a.pem",
            "https://user@sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com:8443/a.pem",
            "https://sns.us-east-1.amazonaws.com\\@evil.example/a.pem",
            "https://sns..amazonaws.com/a.pem",
            "https://sns.ab.amazonaws.com/a.pem",
            "https://sns.a.b.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.cn.cn/a.pem",
            "https://s3.us-east-1.amazonaws.com/bucket/a.pem",
            "https://snsxus-east-1.amazonaws.com/a.pem",
        ] {
            assert!(!is_certificate(url), "{url}");
        }
        for url in [
            "https://sns.us-east-1.amazonaws.com",
            "https://sns.us-east-1.amazonaws.com/",
            "https://sns.us-east-1.amazonaws.com/a.pem?b=c",
            "https://sns.us-east-1.amazonaws.com/?a=.pem",
            "https://sns.us-east-1.amazonaws.com/a.pem#b",
            "https://sns.us-east-1.amazonaws.com/../a.pem",
            "https://sns.us-east-1.amazonaws.com/a.pem/b",
        ] {
            assert!(!is_certificate(url), "{url}");
        }
    }
}
