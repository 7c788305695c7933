//! The certificate that SNS signs with. It is believed because of where it was fetched, over TLS: an address of SNS's.

use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use sluice_domain::time::Timestamp;
use std::fmt;
use x509_cert::der::DecodePem;
use x509_cert::time::Time;

/// `rsaEncryption`. (RFC 8017 appendix C.)
const RSA: &str = "1.2.840.113549.1.1.1";

/// A certificate with an RSA key.
#[derive(Clone)]
pub struct Certificate {
    key: Vec<u8>,
    from: Timestamp,
    until: Timestamp,
}

/// Why a text is no certificate that we can check signatures with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is not one X.509 certificate in PEM.
    #[error("this is not a certificate; expected one that begins with -----BEGIN CERTIFICATE-----")]
    Unreadable,
    /// Its key is of another kind.
    #[error("the certificate's key is not RSA, which SNS signs with")]
    NotRsa,
}

impl Certificate {
    /// Reads PEM.
    pub fn parse(pem: &[u8]) -> Result<Self, CertificateError> {
        let certificate = x509_cert::Certificate::from_pem(pem).map_err(|_| CertificateError::Unreadable)?;
        let certificate = certificate.tbs_certificate();
        let key = certificate.subject_public_key_info();
        if key.algorithm.oid.to_string() != RSA {
            return Err(CertificateError::NotRsa);
        }
        let at = |time: Time| {
            let millis = i64::try_from(time.to_unix_duration().as_millis());
            Timestamp(millis.unwrap_or(i64::MAX))
        };
        Ok(Self {
            key: key.subject_public_key.raw_bytes().to_vec(),
            from: at(certificate.validity().not_before),
            until: at(certificate.validity().not_after),
        })
    }

    /// Whether its time has come and is not over.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.from..=self.until).contains(&now)
    }

    pub(super) fn has_signed_sha1(&self, text: &[u8], signature: &[u8]) -> bool {
        self.has_signed(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, text, signature)
    }

    pub(super) fn has_signed_sha256(&self, text: &[u8], signature: &[u8]) -> bool {
        self.has_signed(&RSA_PKCS1_2048_8192_SHA256, text, signature)
    }

    fn has_signed(&self, how: &'static RsaParameters, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(how, &self.key).verify(text, signature).is_ok()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate(from {} until {})", self.from, self.until)
    }
}
