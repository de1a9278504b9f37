//! What went wrong in a TLS handshake, for people who do not know rustls.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// One line about a failed handshake.
pub(super) fn explain(error: &io::Error) -> String {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return format!("encryption could not be agreed upon: {error}");
    };
    match inner {
        Error::InvalidCertificate(problem) => certificate(problem),
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::DecryptError,
        ) => format!("the server does not accept the certificate of sslcert ({inner})"),
        other => format!("encryption could not be agreed upon: {other}"),
    }
}

fn certificate(problem: &CertificateError) -> String {
    match problem {
        // A bad signature: an authority of that name is trusted, and it is another one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate comes from no authority in sslrootcert".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the server's certificate has expired ({problem})")
        }
        CertificateError::Revoked => "the server's certificate was revoked".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "the server's certificate was made for another host: {problem}; only its alternative names count"
        ),
        problem => format!("the server's certificate cannot be trusted: {problem}"),
    }
}
