use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::clock::Timestamp;
use crate::message::{Location, MessageType};
use crate::whatsapp::incoming::MediaReference;
use crate::whatsapp::values::LONGEST_ID;

fn notices(payload: &Value) -> Vec<Notice> {
    report(payload, None).notices
}

fn payload(value: Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [
        {"id": "1", "changes": [{"field": "messages", "value": value}]}
    ]})
}

/// The message of this kind with this body.
fn message(kind: &str, body: Value) -> Incoming {
    let mut message = json!({"from": "491701", "id": "wamid.1", "type": kind});
    message[kind] = body;
    one(message)
}

fn one(message: Value) -> Incoming {
    match notices(&payload(json!({"messages": [message]}))).as_slice() {
        [Notice::Message(incoming)] => (**incoming).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_about_another_number_is_passed_over() {
    let value = |number: Value| {
        json!({
            "metadata": {"phone_number_id": number},
            "messages": [{"from": "491701", "id": "wamid.1", "type": "text", "text": {"body": "x"}}],
            "statuses": [{"id": "wamid.2", "status": "read"}],
        })
    };
    let other = "9".repeat(100);
    for (number, own, expected, passed_over) in [
        (json!("1"), Some("1"), 2, None),
        (json!("1"), None, 2, None),
        (json!(null), Some("1"), 2, None),
        (json!("2"), Some("1"), 0, Some("2")),
        (json!(other), Some("1"), 0, Some(&other[..32])),
    ] {
        let report = report(&payload(value(number.clone())), own);
        assert_eq!(report.notices.len(), expected, "{number} {own:?}");
        assert_eq!(
            report.other_number.as_deref(),
            passed_over,
            "{number} {own:?}"
        );
    }
}

#[test]
fn texts_and_statuses_are_read() {
    let payload = payload(json!({
        "messaging_product": "whatsapp",
        "contacts": [{"wa_id": "491701", "profile": {"name": " Grace\u{0} "}}],
        "messages": [{"from": "491701", "id": "wamid.1", "timestamp": "1700000000",
            "context": {"from": "15550100", "id": "wamid.0"},
            "type": "text", "text": {"body": "h\u{0}i"}}],
        "statuses": [
            {"id": "wamid.2", "status": "delivered", "recipient_id": "491701"},
            {"id": "wamid.3", "status": "failed",
                "errors": [{"code": 131_026, "title": "Message undeliverable"}]},
            {"id": "wamid.4", "status": "failed"},
        ],
    }));
    let message = Notice::Message(Box::new(Incoming {
        id: "wamid.1".into(),
        phone: "491701".into(),
        name: Some("Grace".into()),
        written_at: Some(Timestamp::from_millis(1_700_000_000_000)),
        reply_to: Some("wamid.0".into()),
        r#type: MessageType::Text,
        content: "hi".into(),
        media: None,
        location: None,
    }));
    let status = |id: &str, delivery, failure| Notice::Status {
        id: id.into(),
        delivery,
        failure,
    };
    let title = "Message undeliverable";
    let undeliverable = Failure::new(Some(131_026), title, title);
    let unexplained = Failure::new(None, "Message not delivered", "WhatsApp gave no reason.");
    assert_eq!(
        notices(&payload),
        [
            message,
            status("wamid.2", Delivery::Delivered, None),
            status("wamid.3", Delivery::Failed, Some(undeliverable)),
            status("wamid.4", Delivery::Failed, Some(unexplained)),
        ]
    );
}

#[test]
fn files_are_named_and_captioned() {
    let id = "1166";
    for kind in ["image", "audio", "video", "sticker"] {
        let read = message(
            kind,
            json!({"id": id, "mime_type": "image/jpeg", "sha256": "x"}),
        );
        assert_eq!(read.r#type.name(), kind);
        assert_eq!(read.content, "");
        let media = MediaReference {
            id: id.into(),
            mime_type: "image/jpeg".into(),
            filename: None,
        };
        assert_eq!(read.media, Some(media));
    }
    let read = message(
        "document",
        json!({"id": id, "mime_type": "te\nxt", "filename": "../a\n.pdf", "caption": " see\n1 "}),
    );
    assert_eq!(read.content, "see\n1");
    let media = read.media.unwrap();
    assert_eq!(media.mime_type, "application/octet-stream");
    assert_eq!(media.filename.as_deref(), Some(".._a.pdf"));
    for id in ["", "../me", "1/2", "1?a=b", "é"] {
        let read = message("image", json!({"id": id, "mime_type": "image/png"}));
        assert_eq!((read.r#type, read.media), (MessageType::Unsupported, None));
    }
}

#[test]
fn other_kinds_have_something_to_read() {
    let place = message(
        "location",
        json!({"latitude": 52.5, "longitude": 13, "name": "Mauerpark"}),
    );
    assert_eq!(place.content, "Mauerpark");
    let location = Location {
        latitude: 52.5,
        longitude: 13.0,
        name: Some("Mauerpark".into()),
        address: None,
    };
    assert_eq!(place.location, Some(location));
    let place = message("location", json!({"latitude": -1.25, "longitude": 13}));
    assert_eq!(place.content, "-1.25, 13");

    let contact =
        |name: &str| json!({"name": {"formatted_name": name}, "phones": [{"phone": "+49 1"}]});
    let contacts = message("contacts", json!([contact("Ada"), contact("Grace")]));
    assert_eq!(contacts.content, "Ada (+49 1), Grace (+49 1)");
    let many = message("contacts", json!(vec![contact("A"); 7]));
    assert!(many.content.ends_with("A (+49 1) (+2)"), "{}", many.content);

    let reaction = message("reaction", json!({"message_id": "wamid.0", "emoji": "👍🏽"}));
    assert_eq!(reaction.content, "👍🏽");
    assert_eq!(reaction.reply_to.as_deref(), Some("wamid.0"));
    let taken_back = message("reaction", json!({"message_id": "wamid.0"}));
    assert_eq!(taken_back.content, "");
    assert_eq!(taken_back.r#type, MessageType::Reaction);

    let pressed = message("button", json!({"payload": "p", "text": "Yes"}));
    assert_eq!(pressed.content, "Yes");
    for reply in ["button_reply", "list_reply"] {
        let body = json!({"type": reply, reply: {"id": "1", "title": "Tomorrow"}});
        assert_eq!(message("interactive", body).content, "Tomorrow");
    }
}

#[test]
fn what_is_not_understood_is_kept_as_such() {
    for (kind, body, content) in [
        ("order", json!({"catalog_id": "1"}), "order"),
        (
            "system",
            json!({"body": "Grace changed her number"}),
            "Grace changed her number",
        ),
        (
            "note",
            json!({"body": "for agents only"}),
            "for agents only",
        ),
        ("text", json!({"body": 7}), "text"),
        ("text", json!({"body": "\u{0}"}), "text"),
        ("text", json!("hi"), "text"),
        ("image", json!(null), "image"),
        (
            "location",
            json!({"latitude": 91, "longitude": 0}),
            "location",
        ),
        ("location", json!({"latitude": "x"}), "location"),
        ("contacts", json!([]), "contacts"),
        ("interactive", json!({}), "interactive"),
        ("", json!(null), ""),
    ] {
        let read = message(kind, body);
        assert_eq!(read.r#type, MessageType::Unsupported, "{kind}");
        assert!(read.media.is_none() && read.location.is_none());
        assert_eq!(read.content, content);
    }
    let read = one(json!({"from": "491", "id": "1", "type": "unsupported",
        "errors": [{"code": 131_051, "title": "Message type unknown"}]}));
    assert_eq!(read.content, "Message type unknown");
    assert_eq!(one(json!({"from": "491", "id": "1"})).content, "");
}

#[test]
fn times_that_make_no_sense_are_none() {
    let time = |timestamp: Value| {
        one(json!({"from": "491", "id": "1", "timestamp": timestamp})).written_at
    };
    let at = Some(Timestamp::from_millis(1_700_000_000_000));
    assert_eq!(time(json!("1700000000")), at);
    assert_eq!(time(json!(1_700_000_000)), at);
    for nonsense in [
        json!(null),
        json!("now"),
        json!("1"),
        json!("-1700000000"),
        json!(1.5),
        json!("99999999999999999999"),
        json!(i64::MAX),
    ] {
        assert_eq!(time(nonsense.clone()), None, "{nonsense}");
    }
}

#[test]
fn what_has_no_id_or_no_sender_is_passed_over() {
    let message = json!({"from": "491", "id": "wamid.1", "type": "text", "text": {"body": "hi"}});
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
        "entry",
        "changes",
        "field",
        "value",
        "messages",
        "statuses",
        "contacts",
        "type",
        "text",
        "body",
        "from",
        "id",
        "wa_id",
        "profile",
        "name",
        "status",
        "image",
        "document",
        "caption",
        "filename",
        "mime_type",
        "location",
        "latitude",
        "longitude",
        "address",
        "formatted_name",
        "phones",
        "phone",
        "reaction",
        "message_id",
        "emoji",
        "button",
        "interactive",
        "button_reply",
        "list_reply",
        "title",
        "context",
        "timestamp",
        "errors",
        "code",
        "error_data",
        "details",
        "system",
        "unsupported",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "messages|text|image|document|location|contacts|reaction|button|interactive|sent|read|\
         failed|[0-9]{1,22}|\\PC{0,300}|[\0a ]{0,4}"
            .prop_map(Value::from),
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
        assert!(text.chars().count() <= longest);
        assert!(!text.contains('\0'), "PostgreSQL cannot store {text:?}");
    };
    match notice {
        Notice::Message(incoming) => {
            text(&incoming.id, LONGEST_ID);
            assert!(!incoming.id.is_empty() && !incoming.phone.is_empty());
            assert!(incoming.phone.bytes().all(|byte| byte.is_ascii_digit()));
            text(&incoming.phone, 20);
            text(&incoming.content, usize::MAX);
            let is_text = incoming.r#type == MessageType::Text;
            assert!(!is_text || !incoming.content.is_empty());
            for name in incoming.name.iter().chain(&incoming.reply_to) {
                text(name, 255);
            }
            if let Some(media) = &incoming.media {
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                assert!(media.id.bytes().all(is_plain));
                text(&media.mime_type, 100);
                text(media.filename.as_deref().unwrap_or_default(), 255);
            }
            if let Some(location) = &incoming.location {
                assert!(location.latitude.is_finite() && location.longitude.is_finite());
                text(&json!(location).to_string(), 2000);
            }
        }
        Notice::Status { id, failure, .. } => {
            text(id, LONGEST_ID);
            if let Some(failure) = failure {
                text(&failure.title, 500);
                text(&failure.message, 500);
            }
        }
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
        let kinds = ["text", "image", "document", "location", "contacts", "reaction", "button", "interactive", "order"];
        let mut messages = vec![message.clone()];
        messages.extend(kinds.map(|kind| json!({
            "from": "491701", "id": "1", "type": kind, kind: message, "context": contact,
            "timestamp": contact, "errors": contact,
        })));
        let inside = payload(json!({
            "messages": messages,
            "contacts": [contact, {"wa_id": "491701", "profile": contact}],
            "statuses": [message, {"id": "1", "status": "failed", "errors": [message, contact]}],
        }));
        prop_assert!(notices(&inside).len() > kinds.len());
        for payload in [&value, &inside] {
            for notice in notices(payload) {
                assert_storable(&notice);
            }
        }
    }
}
