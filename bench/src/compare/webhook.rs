//! The webhooks that Fanfare has in some of the runs, and the endpoints that they go to.

use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::server::Server;
use crate::receiver::Answer;
use crate::sys;

/// What a webhook takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Taken {
    ClientEvents,
    /// Who comes and goes, and which channels.
    Transitions,
    Both,
}

impl Taken {
    /// As TOML.
    fn events(self) -> &'static str {
        match self {
            Taken::ClientEvents => r#"["client_event"]"#,
            Taken::Transitions => {
                r#"["channel_occupied", "channel_vacated", "member_added", "member_removed"]"#
            }
            Taken::Both => {
                r#"["channel_occupied", "channel_vacated", "member_added", "member_removed", "client_event"]"#
            }
        }
    }
}

/// What becomes of its requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Answered,
    NeverAnswered,
    /// Nobody listens at its port.
    Refused,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Webhook {
    taken: Taken,
    batch: bool,
    fate: Fate,
}

impl Webhook {
    pub(super) const BATCHED: Self = Self {
        taken: Taken::ClientEvents,
        batch: true,
        fate: Fate::Answered,
    };
    pub(super) const UNBATCHED: Self = Self {
        batch: false,
        ..Self::BATCHED
    };
    pub(super) const DEAD: Self = Self {
        taken: Taken::Both,
        batch: false,
        fate: Fate::Refused,
    };
    pub(super) const HANGING: Self = Self {
        fate: Fate::NeverAnswered,
        ..Self::DEAD
    };
    pub(super) const OF_TRANSITIONS: Self = Self {
        taken: Taken::Transitions,
        ..Self::UNBATCHED
    };

    /// The webhook in an app's configuration.
    pub(super) fn toml(self, endpoint: SocketAddrV4) -> String {
        let (events, batch) = (self.taken.events(), self.batch);
        format!(
            "\n[[apps.webhooks]]\nurl = \"http://{endpoint}/\"\nevents = {events}\nbatch = {batch}\n"
        )
    }

    /// Starts what it is sent to. `program` is the receiver.
    pub(super) fn start_endpoint(self, program: &Path) -> anyhow::Result<Endpoint> {
        let answer = match self.fate {
            Fate::Answered => Answer::Ok,
            Fate::NeverAnswered => Answer::Never,
            Fate::Refused => {
                let (held, address) = sys::refusing_port().context("a port that refuses")?;
                return Ok(Endpoint::Refusing {
                    _held: held,
                    address,
                });
            }
        };
        let receiver = Server::start_receiver(program, answer)?;
        Ok(Endpoint::Receiver { receiver, answer })
    }
}

/// What webhooks go to, as long as it is kept.
pub(super) enum Endpoint {
    Receiver {
        receiver: Server,
        answer: Answer,
    },
    Refusing {
        _held: OwnedFd,
        address: SocketAddrV4,
    },
}

impl Endpoint {
    pub(super) fn address(&self) -> SocketAddrV4 {
        match self {
            Endpoint::Receiver { receiver, .. } => receiver.address(),
            Endpoint::Refusing { address, .. } => *address,
        }
    }

    /// Where the generator can ask what the webhooks reported; None where they get nowhere.
    pub(super) fn receiver(&self) -> Option<SocketAddrV4> {
        match self {
            Endpoint::Receiver { receiver, answer } => {
                (*answer == Answer::Ok).then(|| receiver.address())
            }
            Endpoint::Refusing { .. } => None,
        }
    }

    /// Stops it: what it counted in all, null if it counts nothing.
    pub(super) fn stop(self) -> anyhow::Result<Value> {
        match self {
            Endpoint::Receiver { receiver, .. } => {
                let counts = receiver.stop()?;
                serde_json::from_str(&counts).context("reading the receiver's counts")
            }
            Endpoint::Refusing { .. } => Ok(Value::Null),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_dead_endpoint_refuses() {
        let endpoint = Webhook::DEAD.start_endpoint(Path::new("not needed"));
        let endpoint = endpoint.unwrap();
        assert_eq!(endpoint.receiver(), None);
        let refused = TcpStream::connect(endpoint.address()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(endpoint.stop().unwrap(), Value::Null);
    }
}
