//! The dashboard and the alerts, against a Prometheus that scrapes a cluster.

use std::collections::BTreeSet;
use std::fs;

use protocol_tests::wait::eventually;
use protocol_tests::{Answer, AppConfig, Cluster, Receiver, RedisServer, or_skip};
use rcgen::generate_simple_self_signed;
use serde_json::Value;

use crate::files;
use crate::prometheus::Prometheus;
use crate::traffic::Traffic;

/// Whether there is a series, and each has a number.
fn is_data(series: &[Value]) -> bool {
    let number = |series: &Value| series["value"][1].as_str()?.parse::<f64>().ok();
    let is_number = |series: &Value| number(series).is_some_and(f64::is_finite);
    !series.is_empty() && series.iter().all(is_number)
}

#[tokio::test]
async fn every_query_returns_data_and_every_alert_can_be_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = generate_simple_self_signed(vec!["relay.test".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let redis = RedisServer::start().await;
    let receiver = {
        let app = protocol_tests::App {
            id: "10001".to_owned(),
            key: "key-10001".to_owned(),
            secret: "secret-10001".to_owned(),
        };
        Receiver::start(&[&app]).await
    };
    receiver.expect_several_senders();
    // Every second request fails, and comes again.
    let mut count = 0;
    receiver.script(move |_| {
        count += 1;
        if count % 2 == 0 {
            Answer::Status(500)
        } else {
            Answer::Status(200)
        }
    });
    let hook = receiver.webhook(&["channel_occupied", "client_event", "member_added"]);
    let cluster = Cluster::builder(redis.url())
        .app(AppConfig::new("10001").webhook(hook))
        .set("tls.listen", "127.0.0.1:0")
        .set("tls.certificate", file("relay.pem", certificate.cert.pem()))
        .set(
            "tls.key",
            file("relay.key", certificate.signing_key.serialize_pem()),
        )
        .nodes(2);
    let cluster = or_skip!(cluster.start().await);
    let admin = cluster.nodes().map(|node| node.admin_endpoint().unwrap());
    let targets: Vec<String> = admin.map(|admin| admin.authority.clone()).collect();
    let prometheus = Prometheus::start(&targets).await;

    let mut traffic = Traffic::start(&cluster[0]).await;
    let queries = files::queries();
    assert!(queries.len() > 50, "{}", queries.len());
    let mut without: BTreeSet<&(String, String)> = queries.iter().collect();
    for _ in 0..60 {
        traffic.go_on().await;
        let mut still = BTreeSet::new();
        for query in without {
            if !is_data(&prometheus.query(&query.1).await) {
                still.insert(query);
            }
        }
        without = still;
        if without.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert!(without.is_empty(), "no data for {without:#?}");

    let rules = eventually("all alerts to be evaluated", || async {
        let rules = prometheus.rules().await;
        let is_evaluated = |rule: &Value| rule["health"] != "unknown";
        rules.iter().all(is_evaluated).then_some(rules)
    })
    .await;
    assert!(rules.len() > 10, "{}", rules.len());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    drop(traffic);
    drop(prometheus);
    cluster.finish().await;
}
