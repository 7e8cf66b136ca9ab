//! What some scenarios need of the server beside its public listener, and how the generator finds it.

use crate::certificate::Certificate;
use crate::compare::server::Environment;
use crate::sys;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Needs {
    Nothing,
    /// The admin listener.
    Admin,
    /// A listener that speaks TLS.
    Tls,
}

/// For one run.
#[derive(Default)]
pub(super) struct Supplied {
    pub(super) environment: Environment,
    /// Of `relay-bench run`.
    pub(super) arguments: Vec<String>,
    /// Files of it, as long as the server may read them.
    _certificate: Option<Certificate>,
}

impl Needs {
    /// Ports are those of this moment: whoever takes one before the server does fails the run.
    pub(super) fn supply(self) -> anyhow::Result<Supplied> {
        if self == Needs::Nothing {
            return Ok(Supplied::default());
        }
        let (_refusing, address) = sys::refusing_port()?;
        if self == Needs::Admin {
            let listen = ("FANFARE_ADMIN__LISTEN".into(), address.to_string());
            return Ok(Supplied {
                environment: Environment {
                    variables: vec![listen],
                    ..Environment::default()
                },
                arguments: vec!["--admin".into(), address.to_string()],
                _certificate: None,
            });
        }
        let certificate = Certificate::new()?;
        let authority = certificate.file().display().to_string();
        Ok(Supplied {
            environment: Environment {
                variables: certificate.variables(address).into(),
                ..Environment::default()
            },
            arguments: ["--tls".into(), address.to_string()]
                .into_iter()
                .chain(["--tls-ca".into(), authority])
                .collect(),
            _certificate: Some(certificate),
        })
    }
}
