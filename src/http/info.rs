//! Attributes of channels that callers may ask for.

use serde_json::{Map, Value, json};

use super::error::ApiError;
use crate::hub::{ChannelReport, Detail};
use crate::protocol::{ChannelKind, Frame};

/// What `info` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) user_count: bool,
    pub(super) subscription_count: bool,
    pub(super) cache: bool,
}

impl Info {
    /// Reads the attributes, separated by commas. An unknown one is always an error.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let mut info = Self::default();
        for attribute in text.unwrap_or_default().split(',').map(str::trim) {
            match attribute {
                "" => {}
                "user_count" => info.user_count = true,
                "subscription_count" => info.subscription_count = true,
                "cache" => info.cache = true,
                _ => {
                    return Err(ApiError::bad_request(
                        "info may ask for user_count, subscription_count and cache, \
                         separated by commas",
                    ));
                }
            }
        }
        Ok(info)
    }

    /// Whether anything is asked for.
    pub(super) fn any(self) -> bool {
        self != Self::default()
    }

    /// How much has to be known for it.
    pub(super) fn detail(self) -> Detail {
        if self.cache {
            Detail::StateAndLastEvent
        } else {
            Detail::State
        }
    }

    /// Fails for an attribute that channels of this kind do not have.
    pub(super) fn check_applies_to(self, kind: ChannelKind) -> Result<(), ApiError> {
        if self.user_count && !kind.is_presence() {
            return Err(ApiError::bad_request(
                "info: user_count is an attribute of presence channels only",
            ));
        }
        if self.cache && !kind.cache {
            return Err(ApiError::bad_request(
                "info: cache is an attribute of cache channels only",
            ));
        }
        Ok(())
    }

    /// The attributes of one channel; those that it does not have are left out.
    pub(super) fn describe(self, kind: ChannelKind, report: &ChannelReport) -> Map<String, Value> {
        let state = &report.state;
        let mut attributes = Map::new();
        if self.user_count && kind.is_presence() {
            attributes.insert("user_count".into(), state.users.into());
        }
        if self.subscription_count {
            attributes.insert("subscription_count".into(), state.subscribers.into());
        }
        if self.cache && kind.cache {
            let cached = report.cached.as_ref().map(|cached| {
                // Part of a second is still time left.
                let ttl = cached.left.as_millis().div_ceil(1000) as u64;
                json!({ "data": data_of(&cached.frame), "ttl": ttl })
            });
            attributes.insert("cache".into(), cached.unwrap_or(Value::Null));
        }
        attributes
    }
}

/// The data string of an event as it was sent.
fn data_of(event: &Frame) -> Value {
    #[derive(serde::Deserialize)]
    struct Event {
        data: Value,
    }
    serde_json::from_slice::<Event>(event.payload()).map_or(Value::Null, |event| event.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_a_closed_set() {
        let info = Info::parse(Some("user_count, cache")).unwrap();
        assert!(info.user_count && info.cache && !info.subscription_count);
        assert!(!Info::parse(Some("")).unwrap().any());
        assert!(!Info::parse(None).unwrap().any());
        for unknown in ["users", "user_count,x", "User_Count"] {
            assert!(Info::parse(Some(unknown)).is_err(), "{unknown}");
        }
    }
}
