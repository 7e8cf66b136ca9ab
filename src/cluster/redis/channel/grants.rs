//! Users who asked to be admitted, and what was decided.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::changes::Change;
use super::state::Channel;
use crate::cluster::redis::script::ChannelReply;

impl Channel {
    /// They are admitted as soon as the copy is up to date; whoever is refused is answered now. Who was admitted
    /// meanwhile, as nobody could be asked, waits no more, and may have left.
    pub(super) fn keep_granted(&mut self, change: &Change, reply: &ChannelReply) {
        self.refuse(&reply.refused);
        for user_id in &change.users.adds {
            let Some(user) = self.part.users.get_mut(user_id) else {
                continue;
            };
            if user.joining.is_some() {
                // Redis may forget the user before the copy is up to date.
                user.reported = self.notices.reported(user_id);
                self.granted.push(Arc::clone(user_id));
            }
        }
    }

    /// The copy is up to date.
    pub(super) fn admit_granted(&mut self, change: &Change, reply: &ChannelReply) {
        self.keep_granted(change, reply);
        for user_id in std::mem::take(&mut self.granted) {
            let Some(user) = self.part.users.get_mut(&user_id) else {
                continue;
            };
            let joining = user.joining.take().unwrap_or_default();
            user.connections += joining.len();
            for join in joining {
                self.admit(join);
            }
        }
    }

    fn refuse(&mut self, refused: &[String]) {
        let Some(app) = self.app.clone() else { return };
        for user_id in refused {
            let Entry::Occupied(mut user) = self.part.users.entry(user_id.as_str().into()) else {
                continue;
            };
            // Else admitted meanwhile, as nobody could be asked.
            if let Some(joining) = user.get_mut().joining.take() {
                user.remove();
                self.granted.retain(|granted| **granted != **user_id);
                for join in joining {
                    self.part.connections -= 1;
                    app.refuse_full(join);
                }
            }
        }
    }
}
