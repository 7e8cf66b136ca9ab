//! What a webhook of the Cloud API reports. Whatever is not understood is passed over: Meta adds
//! kinds of messages without asking.

use serde_json::Value;

use super::delivery::Delivery;

/// Characters of an id that are plausible.
const LONGEST_ID: usize = 255;
/// Digits of a phone number, by E.164 with room to spare.
const LONGEST_PHONE: usize = 20;
/// Characters of a contact's name that are kept.
const LONGEST_NAME: usize = 255;

/// Something that a webhook reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A customer has written.
    Message {
        /// WhatsApp's id of the message.
        id: String,
        /// The customer's number, digits only.
        phone: String,
        /// The customer's name, if it is given.
        name: Option<String>,
        /// The text.
        text: String,
    },
    /// Something became of a message of the desk's.
    Status {
        /// WhatsApp's id of the message.
        id: String,
        /// What became of it.
        delivery: Delivery,
    },
}

/// Reads the notices of a webhook, in order.
pub fn notices(payload: &Value) -> Vec<Notice> {
    let changes = items(payload, "entry").flat_map(|entry| items(entry, "changes"));
    changes
        .filter(|change| change["field"] == "messages")
        .flat_map(|change| in_change(&change["value"]))
        .collect()
}

fn in_change(value: &Value) -> impl Iterator<Item = Notice> {
    let messages = items(value, "messages").filter_map(|message| text_message(message, value));
    messages.chain(items(value, "statuses").filter_map(status))
}

fn text_message(message: &Value, value: &Value) -> Option<Notice> {
    if message["type"] != "text" {
        return None;
    }
    let from = message["from"].as_str()?;
    let is_number =
        (1..=LONGEST_PHONE).contains(&from.len()) && from.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    let text = clean(message["text"]["body"].as_str()?);
    Some(Notice::Message {
        id: id(message)?,
        phone: from.into(),
        name: name(value, from),
        text: (!text.is_empty()).then_some(text)?,
    })
}

fn status(status: &Value) -> Option<Notice> {
    Some(Notice::Status {
        id: id(status)?,
        delivery: Delivery::parse(status["status"].as_str()?)?,
    })
}

fn id(value: &Value) -> Option<String> {
    let id = value["id"].as_str()?;
    let is_plausible = !id.is_empty() && id.len() <= LONGEST_ID && !id.contains('\0');
    is_plausible.then(|| id.into())
}

fn name(value: &Value, phone: &str) -> Option<String> {
    let contact = items(value, "contacts").find(|contact| contact["wa_id"] == phone)?;
    let name = clean(contact["profile"]["name"].as_str()?);
    let name: String = name.trim().chars().take(LONGEST_NAME).collect();
    (!name.is_empty()).then_some(name)
}

/// Without the one character that PostgreSQL cannot store.
fn clean(text: &str) -> String {
    text.replace('\0', "")
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value[name].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn payload(value: Value) -> Value {
        json!({"object": "whatsapp_business_account", "entry": [
            {"id": "1", "changes": [{"field": "messages", "value": value}]}
        ]})
    }

    #[test]
    fn texts_and_statuses_are_read() {
        let payload = payload(json!({
            "messaging_product": "whatsapp",
            "contacts": [{"wa_id": "491701", "profile": {"name": " Grace\u{0} "}}],
            "messages": [{"from": "491701", "id": "wamid.1", "timestamp": "1", "type": "text",
                "text": {"body": "h\u{0}i"}}],
            "statuses": [{"id": "wamid.2", "status": "delivered", "recipient_id": "491701"}],
        }));
        let message = Notice::Message {
            id: "wamid.1".into(),
            phone: "491701".into(),
            name: Some("Grace".into()),
            text: "hi".into(),
        };
        let status = Notice::Status {
            id: "wamid.2".into(),
            delivery: Delivery::Delivered,
        };
        assert_eq!(notices(&payload), [message, status]);
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let message =
            json!({"from": "491", "id": "wamid.1", "type": "text", "text": {"body": "hi"}});
        let with = |name: &str, value: Value| {
            let mut message = message.clone();
            message[name] = value;
            payload(json!({"messages": [message]}))
        };
        assert_eq!(notices(&with("id", "wamid.1".into())).len(), 1);
        for payload in [
            json!(null),
            json!([]),
            json!("text"),
            json!({"entry": {}}),
            json!({"entry": [1, null, {"changes": "x"}, {"changes": [{}, 7]}]}),
            payload(json!({"messages": {"0": message}})),
            payload(json!({"statuses": [{"id": "a", "status": "frozen"}, {"status": "read"}]})),
            with("type", "image".into()),
            with("text", json!("hi")),
            with("text", json!({"body": 7})),
            with("text", json!({"body": "\u{0}"})),
            with("from", json!(491)),
            with("from", "49' OR 1=1".into()),
            with("from", "".into()),
            with("from", "1".repeat(21).into()),
            with("id", json!(1)),
            with("id", "".into()),
            with("id", "a\0".into()),
            with("id", "x".repeat(256).into()),
        ] {
            assert_eq!(notices(&payload), [], "{payload}");
        }
    }

    /// JSON whose objects have the names that are looked for.
    fn any_payload() -> impl Strategy<Value = Value> {
        let name = prop::sample::select(vec![
            "entry", "changes", "field", "value", "messages", "statuses", "contacts", "type",
            "text", "body", "from", "id", "wa_id", "profile", "name", "status",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "messages|text|sent|read|[0-9]{1,22}|\\PC{0,300}|[\0a ]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(8, 64, 4, move |inner| {
            let object =
                prop::collection::vec((name.clone(), inner.clone()), 0..6).prop_map(|members| {
                    members
                        .into_iter()
                        .map(|(k, v)| (k.to_owned(), v))
                        .collect()
                });
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                object.prop_map(Value::Object)
            ]
        })
    }

    fn assert_storable(notice: &Notice) {
        let text = |text: &str, longest: usize| {
            assert!(!text.is_empty() && text.chars().count() <= longest);
            assert!(!text.contains('\0'), "PostgreSQL cannot store {text:?}");
        };
        match notice {
            Notice::Message {
                id,
                phone,
                name,
                text: content,
            } => {
                text(id, LONGEST_ID);
                text(phone, LONGEST_PHONE);
                assert!(phone.bytes().all(|byte| byte.is_ascii_digit()));
                text(content, usize::MAX);
                if let Some(name) = name {
                    text(name, LONGEST_NAME);
                }
            }
            Notice::Status { id, .. } => text(id, LONGEST_ID),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn whatever_is_read_of_a_webhook_can_be_stored(
            value in any_payload(),
            message in any_payload(),
            contact in any_payload(),
        ) {
            let inside = payload(json!({
                "messages": [message, {"from": "491701", "id": "1", "type": "text", "text": message}],
                "contacts": [contact, {"wa_id": "491701", "profile": contact}],
                "statuses": message,
            }));
            for payload in [&value, &inside] {
                for notice in notices(payload) {
                    assert_storable(&notice);
                }
            }
        }
    }
}
