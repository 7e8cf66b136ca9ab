//! What an operator should know at the start: what is not set up, and what will not work for it.

use std::time::Duration;

use publisher::{Channel, Client, Config, Connection, Error, Retry};

use crate::settings::Settings;

/// How long the relay may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Logs a line for each thing that will not work.
pub(super) fn report(settings: &Settings) {
    for line in missing(settings) {
        tracing::warn!("{line}");
    }
}

fn missing(settings: &Settings) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if settings.relay.is_none() {
        missing.push(
            "PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET are not set: nobody can \
             subscribe, and the inbox shows nothing live",
        );
    }
    match settings.broadcast {
        Connection::Log(_) => missing
            .push("BROADCAST_CONNECTION is not set or log: events are logged, and reach no relay"),
        Connection::Null => missing.push("BROADCAST_CONNECTION is null: events go nowhere"),
        _ => {}
    }
    if settings.webhooks.app_secret.is_none() {
        missing.push(
            "WHATSAPP_APP_SECRET is not set: webhooks are refused, and nothing that customers \
             write arrives",
        );
    }
    if settings.webhooks.verify_token.is_none() {
        missing.push(
            "WHATSAPP_VERIFY_TOKEN is not set: the webhook's address cannot be set up at Meta",
        );
    }
    if settings.replies.is_none() {
        missing.push(
            "WHATSAPP_TOKEN and WHATSAPP_PHONE_NUMBER_ID are not set: what agents write is not \
             sent to customers",
        );
    }
    missing
}

/// Asks the relay for a channel that nobody is on, and logs whether it answers, and knows the app.
pub(super) async fn look_for_relay(relay: Config) {
    let address = relay.origin();
    let relay = relay
        .retry(Retry::none())
        .connect_timeout(PATIENCE)
        .timeout(PATIENCE);
    let Ok(client) = Client::new(relay) else {
        // Whoever sends to it has said what is wrong.
        return;
    };
    match client.channel(&Channel::private("user.0"), &[]).await {
        Ok(_) => tracing::info!(%address, "the relay answers"),
        Err(error @ Error::Unauthorized { .. }) => tracing::warn!(
            %address, %error,
            "the relay refuses the app: check PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET"
        ),
        Err(error @ Error::Unavailable { .. }) => tracing::warn!(
            %address, %error,
            "no relay answers: check PUSHER_HOST, PUSHER_PORT and PUSHER_SCHEME; events wait for it"
        ),
        Err(error) => tracing::warn!(
            %address, %error,
            "what answers is no relay with this app: check PUSHER_HOST, PUSHER_PORT and PUSHER_APP_ID"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Environment;

    #[test]
    fn what_is_not_set_up_is_named() {
        let none: [(&str, &str); 0] = [];
        let settings = Settings::from_environment(&Environment::from(none)).unwrap();
        assert_eq!(missing(&settings).len(), 5);
        let all = [
            ("BROADCAST_CONNECTION", "pusher"),
            ("PUSHER_APP_ID", "1"),
            ("PUSHER_APP_KEY", "key"),
            ("PUSHER_APP_SECRET", "secret"),
            ("WHATSAPP_APP_SECRET", "secret"),
            ("WHATSAPP_VERIFY_TOKEN", "token"),
            ("WHATSAPP_TOKEN", "token"),
            ("WHATSAPP_PHONE_NUMBER_ID", "1"),
        ];
        let settings = Settings::from_environment(&Environment::from(all)).unwrap();
        assert_eq!(missing(&settings), [""; 0]);
    }
}
