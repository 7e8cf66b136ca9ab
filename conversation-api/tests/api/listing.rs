//! Which conversations are listed: filters, numbers and search.

use serde_json::{Value, json};

use crate::support::{Api, Database, Desk, Kind, meta};

async fn list(desk: &mut Desk, query: &str) -> Value {
    let path = format!("/api/conversations?{query}");
    desk.get(&path).await.expect_status(200).json()
}

async fn ids(desk: &mut Desk, query: &str) -> Vec<i64> {
    let listed = list(desk, query).await;
    let data = listed["data"].as_array().unwrap();
    let ids: Vec<_> = data
        .iter()
        .map(|conversation| conversation["id"].as_i64().unwrap())
        .collect();
    assert_eq!(listed["meta"]["total"], ids.len(), "{query}");
    ids
}

#[tokio::test]
async fn a_list_can_be_narrowed() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        database
            .execute("UPDATE conversations SET status = 'closed' WHERE id IN (2, 6)")
            .await;
        let api = Api::on(&database).start().await;
        let mut admin = api.log_in("admin@tims.local").await;
        let mut manager = api.log_in("manager@tims.local").await;
        let mut agent = api.log_in("agent@tims.local").await;
        for (query, of_admin, of_manager, of_agent) in [
            ("", &[1, 2, 3, 4, 5, 6][..], &[1, 2, 3][..], &[1, 3][..]),
            (
                "filter=all&status=all&unread=0",
                &[1, 2, 3, 4, 5, 6],
                &[1, 2, 3],
                &[1, 3],
            ),
            ("filter=mine", &[], &[], &[1]),
            ("filter=unassigned", &[3, 6], &[3], &[3]),
            ("status=open", &[1, 3, 4, 5], &[1, 3], &[1, 3]),
            ("status=closed", &[2, 6], &[2], &[]),
            ("filter=unassigned&status=closed", &[6], &[], &[]),
            ("unread=1", &[1, 2, 3, 4, 5, 6], &[1, 2, 3], &[1, 3]),
            ("unread=true&filter=mine", &[], &[], &[1]),
            ("department_id=2", &[4, 5, 6], &[], &[]),
            ("department_id=1&status=closed", &[2], &[2], &[]),
            ("department_id=99", &[], &[], &[]),
            (
                "filter=&status=&unread=&department_id=&search=",
                &[1, 2, 3, 4, 5, 6],
                &[1, 2, 3],
                &[1, 3],
            ),
        ] {
            assert_eq!(ids(&mut admin, query).await, of_admin, "{query}");
            assert_eq!(ids(&mut manager, query).await, of_manager, "{query}");
            assert_eq!(ids(&mut agent, query).await, of_agent, "{query}");
        }
        api.stop().await;
    }
}

#[tokio::test]
async fn numbers_are_of_what_the_user_may_read_whatever_is_filtered() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        for query in ["", "filter=mine", "search=nothing", "unread=1&page=7"] {
            let counts = json!({"mine": 1, "unassigned": 1, "all": 2, "unread": 2});
            let listed = list(&mut agent, query).await;
            assert_eq!(listed["meta"]["counts"], counts, "{query}");
        }
        let read = "/api/conversations/1/read";
        agent.post(read, &json!({})).await.expect_status(200);
        let counts = json!({"mine": 1, "unassigned": 1, "all": 2, "unread": 1});
        assert_eq!(list(&mut agent, "").await["meta"]["counts"], counts);
        assert_eq!(ids(&mut agent, "unread=1").await, [3]);
        let again = meta::message("wamid.again", "491701000001", "Grace Hopper", "again");
        meta::deliver(&mut agent, &again).await.expect_status(200);
        assert_eq!(list(&mut agent, "").await["meta"]["counts"]["unread"], 2);
        let resolve = "/api/conversations/1/resolve";
        agent.post(resolve, &json!({})).await.expect_status(200);
        let open = json!({"mine": 0, "unassigned": 1, "all": 1, "unread": 1});
        assert_eq!(
            list(&mut agent, "status=open").await["meta"]["counts"],
            open
        );
        let closed = json!({"mine": 1, "unassigned": 0, "all": 1, "unread": 1});
        assert_eq!(
            list(&mut agent, "status=closed").await["meta"]["counts"],
            closed
        );
        api.stop().await;
    }
}

#[tokio::test]
async fn names_numbers_and_texts_are_searched() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut admin = api.log_in("admin@tims.local").await;
        for (number, text) in [
            "100% sure",
            "100 percent",
            r"C:\temp",
            "Größe? ÄRGER",
            "snake_case",
        ]
        .into_iter()
        .enumerate()
        {
            let (id, phone) = (format!("wamid.{number}"), format!("4930{number}"));
            let message = meta::message(&id, &phone, &format!("Öz {number}"), text);
            meta::deliver(&mut admin, &message).await.expect_status(200);
        }
        for (search, expected) in [
            ("grace", &[1][..]),
            ("HOPPER", &[1]),
            ("%2B49+170+1000003", &[3]),
            ("17010000", &[1, 2, 3, 4, 5, 6]),
            ("brake", &[4]),
            ("+brake+", &[4]),
            ("bicycle", &[1, 3]),
            ("100%25", &[7]),
            ("%25", &[7]),
            ("_", &[11]),
            ("%5C", &[9]),
            ("C:%5Ctemp", &[9]),
            ("gr%C3%B6%C3%9Fe", &[10]),
            ("%C3%A4rger", &[10]),
            ("%C3%B6z", &[11, 10, 9, 8, 7]),
            ("'--", &[]),
            ("%22", &[]),
            ("*", &[]),
        ] {
            let mut found = ids(&mut admin, &format!("search={search}")).await;
            // WhatsApp's times are to the second: which of them was the last is not certain.
            found.sort_unstable();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(found, expected, "{search}");
        }
        assert_eq!(
            ids(&mut admin, "search=bicycle&filter=unassigned").await,
            [3]
        );
        let page = list(&mut admin, "search=17010000&per_page=4&page=2").await;
        assert_eq!(page["data"].as_array().unwrap().len(), 2);
        assert_eq!(
            (&page["meta"]["total"], &page["meta"]["last_page"]),
            (&json!(6), &json!(2))
        );
        // What may not be read is not found.
        let mut agent = api.log_in("agent@tims.local").await;
        assert_eq!(ids(&mut agent, "search=brake").await, [0_i64; 0]);
        assert_eq!(ids(&mut agent, "search=shipping").await, [0_i64; 0]);
        assert_eq!(ids(&mut agent, "search=bicycle").await, [1, 3]);
        api.stop().await;
    }
}

/// The ids of a page, and where the next one begins.
async fn page(desk: &mut Desk, query: &str) -> (Vec<i64>, Option<String>) {
    let listed = list(desk, query).await;
    let data = listed["data"].as_array().unwrap();
    let ids = data.iter().map(|item| item["id"].as_i64().unwrap());
    let next = listed["meta"]["next_before"].as_str().map(str::to_owned);
    (ids.collect(), next)
}

#[tokio::test]
async fn nothing_is_passed_over_where_a_page_begins_at_the_end_of_the_one_before() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        // Two of the same moment: their ids order them.
        database
            .execute(
                "UPDATE conversations SET last_message_at =
                    (SELECT c.last_message_at FROM conversations c WHERE c.id = 4) WHERE id = 3",
            )
            .await;
        let api = Api::on(&database).start().await;
        let mut admin = api.log_in("admin@tims.local").await;
        let (first, next) = page(&mut admin, "status=open&per_page=3").await;
        assert_eq!(first, [1, 2, 4]);
        let place = next.expect("there are more");
        // What was on the first page leaves the list, and another one comes to its top.
        for id in [1, 2] {
            let path = format!("/api/conversations/{id}/resolve");
            admin.post(&path, &json!({})).await.expect_status(200);
        }
        admin.write(6, "now the newest").await;
        let query = format!("status=open&per_page=3&before={place}");
        assert_eq!(page(&mut admin, &query).await, (vec![3, 5], None));
        let listed = list(&mut admin, &query).await;
        assert_eq!(
            (&listed["meta"]["total"], &listed["meta"]["current_page"]),
            (&json!(4), &Value::Null)
        );
        // By number, too, it is known where the next one begins.
        let (second, next) = page(&mut admin, "per_page=2&page=2").await;
        let next = next.expect("there are more");
        assert_eq!(second, [2, 4]);
        let query = format!("per_page=2&before={next}");
        assert_eq!(page(&mut admin, &query).await, (vec![3, 5], None));
        // A search has pages, too.
        let (found, next) = page(&mut admin, "search=17010000&per_page=4").await;
        assert_eq!(found, [6, 1, 2, 4]);
        let query = format!("search=17010000&per_page=4&before={}", next.unwrap());
        assert_eq!(page(&mut admin, &query).await, (vec![3, 5], None));
        assert_eq!(list(&mut admin, &query).await["meta"]["total"], 6);
        api.stop().await;
    }
}

#[tokio::test]
async fn filters_that_make_no_sense_are_named() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut agent = api.log_in("agent@tims.local").await;
    let long = "x".repeat(101);
    for (field, value, text) in [
        ("filter", "theirs", "The selected filter is invalid."),
        ("status", "OPEN", "The selected status is invalid."),
        ("unread", "yes", "The unread field must be true or false."),
        (
            "department_id",
            "x",
            "The department id field must be an integer.",
        ),
        (
            "search",
            &long,
            "The search field must not be greater than 100 characters.",
        ),
        ("search", "a%00b", "The search field format is invalid."),
        ("before", "7", "The selected before is invalid."),
        ("before", "1.x", "The selected before is invalid."),
        (
            "before",
            "1.99999999999999999999",
            "The selected before is invalid.",
        ),
    ] {
        let answer = agent
            .get(&format!("/api/conversations?{field}={value}"))
            .await;
        let expected = json!({"message": text, "errors": {field: [text]}});
        assert_eq!(answer.expect_status(422).json(), expected);
    }
    let longest = "ö".repeat(100).replace('ö', "%C3%B6");
    agent
        .get(&format!("/api/conversations?search={longest}"))
        .await
        .expect_status(200);
    agent
        .get("/api/conversations?search=a&search=b")
        .await
        .expect_status(400);
    api.stop().await;
}
