//! The prefix of channels follows from APP_NAME as Laravel's helper makes it.

use std::collections::HashMap;

use publisher::Connection;
use serde_json::json;

use crate::php;

#[tokio::test]
async fn names_become_the_slugs_that_laravel_makes_of_them() {
    let names = [
        "Laravel",
        "TIMS",
        "  My_App -- (v2.0)!",
        "me@home",
        "a@b_c",
        "tab\tand\nline",
        "under__score",
        "!!!",
        "-x-",
        "Q&A: 100% <b>\"quoted\"</b>",
    ];
    let slugs = php::run("slug.php", &json!(names).to_string()).await;
    let slugs: Vec<String> = serde_json::from_str(&slugs).unwrap();
    for (name, slug) in names.iter().zip(slugs) {
        let environment = [("BROADCAST_DRIVER", "redis"), ("APP_NAME", name)];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let connection = Connection::from_env(&HashMap::from(environment)).unwrap();
        let printed = format!("{connection:?}");
        let prefix = format!("prefix: \"{slug}-database-\"");
        assert!(
            printed.contains(&prefix),
            "{name:?}: {printed}, not {prefix}"
        );
    }
}
