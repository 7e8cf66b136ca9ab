//! What the client does.

use serde_json::json;

use super::super::Action;
use super::{CHANNELS, Model, SOCKET_ID, Step};

impl Model<'_> {
    pub(super) fn channel(&mut self) -> &'static str {
        CHANNELS[self.input.choose(CHANNELS.len())]
    }

    pub(super) fn send(
        &mut self,
        event: &str,
        data: &serde_json::Value,
        subscribed: Option<&str>,
    ) -> Step {
        let text = json!({"event": event, "data": data}).to_string();
        let action = self.session.on_text(&text, self.now);
        if let Some(channel) = subscribed {
            if let Action::Nothing = &action {
                assert!(
                    self.is_asked(channel),
                    "{channel}: a subscription is neither answered nor to be answered"
                );
            }
            if !matches!(action, Action::RefuseSubscription { .. }) {
                self.held.remove(channel);
            }
        }
        self.carry_out(action)
    }

    pub(super) fn subscribe(&mut self) -> Step {
        let channel = self.channel();
        let user = self.input.choose(3);
        let how = self.input.choose(4);
        let data = (channel.starts_with("presence-") || how == 1)
            .then(|| json!({"user_id": format!("u{user}"), "sign_in": how == 1}).to_string());
        let signed = match &data {
            Some(data) => format!("{SOCKET_ID}:{channel}:{data}"),
            None => format!("{SOCKET_ID}:{channel}"),
        };
        let auth = if how == 2 {
            "key:0000".to_owned()
        } else {
            format!("key:{}", self.signer.sign(&[signed.as_bytes()]))
        };
        let request = json!({"channel": channel, "auth": auth, "channel_data": data});
        self.send("pusher:subscribe", &request, Some(channel))
    }

    pub(super) fn client_event(&mut self) -> Step {
        let channel = self.channel();
        let text = json!({"event": "client-x", "channel": channel, "data": 1}).to_string();
        let action = self.session.on_text(&text, self.now);
        self.carry_out(action)
    }

    pub(super) fn sign_in(&mut self) -> Step {
        let user = self.input.choose(3);
        let user_data = json!({"id": format!("u{user}"), "watchlist": ["a", "b"]}).to_string();
        let signed = format!("{SOCKET_ID}::user::{user_data}");
        let auth = format!("key:{}", self.signer.sign(&[signed.as_bytes()]));
        let data = json!({"auth": auth, "user_data": user_data});
        self.send("pusher:signin", &data, None)
    }

    pub(super) fn send_raw(&mut self) -> Step {
        let line = String::from_utf8_lossy(self.input.line());
        let action = self.session.on_text(&line, self.now);
        self.carry_out(action)
    }
}
