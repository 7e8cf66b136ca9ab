//! What strangers send to conversation-api.

use clap::ValueEnum;

/// What Meta sends at most, and is read at most.
const WEBHOOK_BYTES: usize = 3 * 1024 * 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Attack {
    /// lists without a token over and over; the answers are never read
    PipelinedUnread,
    /// webhooks of 3 MiB with a wrong signature
    UnsignedWebhooks,
    /// 200 webhooks of 3 MiB with a wrong signature that lack a byte
    HalfWebhooks,
    /// log-ins to invented accounts with invented passwords, from 250 addresses
    LogIns,
    /// log-ins to one account with invented passwords, from 250 addresses
    LogInsToOne,
}

impl Attack {
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_string())
    }

    /// How many connections make it, where one or some are silent.
    pub(super) fn fixed_connections(self) -> Option<usize> {
        (self == Attack::HalfWebhooks).then_some(200)
    }

    /// What is the same each time.
    pub(super) fn prepared(self) -> Vec<u8> {
        match self {
            Attack::PipelinedUnread => {
                b"GET /api/conversations HTTP/1.1\r\nHost: a\r\n\r\n".repeat(500)
            }
            Attack::UnsignedWebhooks => webhook(WEBHOOK_BYTES),
            Attack::HalfWebhooks => webhook(WEBHOOK_BYTES - 1),
            Attack::LogIns | Attack::LogInsToOne => Vec::new(),
        }
    }
}

/// One that announces the largest body, and has this much of it.
fn webhook(bytes: usize) -> Vec<u8> {
    let signature = "0".repeat(64);
    let head = format!(
        "POST /api/webhooks/whatsapp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {WEBHOOK_BYTES}\r\n\r\n"
    );
    let mut request = head.into_bytes();
    request.resize(request.len() + bytes, b' ');
    request
}

/// The `number`th attempt.
pub(super) fn log_in(attack: Attack, number: usize) -> Vec<u8> {
    let email = match attack {
        Attack::LogInsToOne => "agent@tims.local".to_string(),
        _ => format!("invented-{number}@tims.local"),
    };
    let body = format!(r#"{{"email":"{email}","password":"invented-{number}"}}"#);
    let length = body.len();
    format!(
        "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
