//! Why there is no connection, as a decision and in a person's words.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// Why a connection could not be made, or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A person must change something; it is tried again slowly.
    #[error("{0}")]
    Refused(String),
    /// It may be better in a moment.
    #[error("{0}")]
    Lost(String),
    /// The broker keeps a message for us that is too large to be read; it must forget our session.
    #[error("the broker keeps a message for us that is larger than 256 KiB")]
    TooLargeForUs,
}

impl Fault {
    pub(super) fn bad_password() -> Self {
        Self::Refused(
            "the broker refuses user name or password (mqtt.username, mqtt.password_file)".to_owned(),
        )
    }

    pub(super) fn not_authorised() -> Self {
        Self::Refused("the broker does not let this user in (not authorised)".to_owned())
    }

    pub(super) fn bad_client_id() -> Self {
        Self::Refused("the broker refuses the client id, which is made from gateway.id".to_owned())
    }

    pub(super) fn wrong_protocol(version: &str) -> Self {
        let other = if version == "5" { "mqtt.protocol = 4" } else { "mqtt.protocol = 5" };
        Self::Refused(format!("the broker does not speak MQTT {version} (try {other})"))
    }

    pub(super) fn taken_over() -> Self {
        Self::Refused(
            "another client with our client id has taken the session (two gateways with one gateway.id?)"
                .to_owned(),
        )
    }

    /// MQTT 3.1.1 has no word for a session that is taken over: the broker just closes.
    pub(super) fn thrown_out(client_id: &str) -> Self {
        Self::Lost(format!(
            "the broker lets us in and soon closes, again and again: does another client use the client id \
             {client_id} (two gateways with one gateway.id)?"
        ))
    }

    pub(super) fn timeout() -> Self {
        Self::Lost("the broker does not answer in time".to_owned())
    }

    /// It says what a broker does not say there, or what cannot be read.
    pub(super) fn unexpected() -> Self {
        Self::Lost("what listens there does not keep to MQTT".to_owned())
    }

    /// Names or a testament that no packet can carry.
    pub(super) fn unwritable() -> Self {
        Self::Refused("what we would say to the broker fits into no packet".to_owned())
    }

    pub(super) fn closed() -> Self {
        Self::Lost("the broker closed the connection".to_owned())
    }

    /// What an error of the network or of TLS means.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    return Self::of_tls(tls);
                }
                return Self::of_io(io);
            }
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Self::of_tls(tls);
            }
            next = error.source();
        }
        Self::Lost(error.to_string())
    }

    fn of_io(error: &io::Error) -> Self {
        let words = match error.kind() {
            io::ErrorKind::ConnectionRefused => "nothing listens there (connection refused)".to_owned(),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => return Self::closed(),
            io::ErrorKind::TimedOut => return Self::timeout(),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                "no way to that host".to_owned()
            }
            _ => error.to_string(),
        };
        Self::Lost(words)
    }

    fn of_tls(error: &rustls::Error) -> Self {
        let words = match error {
            rustls::Error::InvalidCertificate(fault) => match fault {
                CertificateError::UnknownIssuer => {
                    "the broker's certificate is signed by an authority that is not trusted (set mqtt.ca_file)"
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "the broker's certificate is for another host name"
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "the broker's certificate has expired (or this machine's clock is wrong)"
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "the broker's certificate is not valid yet (or this machine's clock is wrong)"
                }
                CertificateError::Revoked => "the broker's certificate is revoked",
                other => return Self::Refused(format!("the broker's certificate is not accepted: {other}")),
            },
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure => {
                    "the broker wants a client certificate (mqtt.cert_file and mqtt.key_file)"
                }
                AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::AccessDenied => "the broker does not accept our client certificate",
                other => return Self::Lost(format!("the broker ended TLS ({other:?})")),
            },
            rustls::Error::InvalidMessage(_) => "what listens there does not speak TLS (mqtt:// or ws://?)",
            other => return Self::Lost(format!("TLS: {other}")),
        };
        Self::Refused(words.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_must_change_is_told_from_what_passes() {
        let tls = |error: rustls::Error| Fault::of(&io::Error::new(io::ErrorKind::InvalidData, error));
        for (fault, slow, words) in [
            (tls(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)), true, "mqtt.ca_file"),
            (tls(rustls::Error::InvalidCertificate(CertificateError::NotValidForName)), true, "another host"),
            (tls(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)), true, "cert_file"),
            (Fault::of(&io::Error::from(io::ErrorKind::ConnectionRefused)), false, "nothing listens"),
            (Fault::of(&io::Error::from(io::ErrorKind::ConnectionReset)), false, "closed"),
            (Fault::wrong_protocol("5"), true, "mqtt.protocol = 4"),
        ] {
            assert_eq!(matches!(fault, Fault::Refused(_)), slow, "{fault}");
            assert!(fault.to_string().contains(words), "{fault}");
        }
    }
}
