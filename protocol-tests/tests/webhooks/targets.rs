//! Where webhooks may go when private addresses are shut.

use protocol_tests::{AppConfig, TestServer, TestServerBuilder, WebhookConfig, or_skip};

use crate::support::{figure, receiver, subscriber, wait_for_figure};

fn public_only(url: &str) -> TestServerBuilder {
    let app = AppConfig::new("10001").webhook(WebhookConfig::new(url, &["channel_occupied"]));
    TestServer::builder()
        .app(app)
        .set("webhooks.private_addresses", false)
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_at_start() {
    for host in [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fc00::1]",
        "[fe80::1]",
        "[ff02::1]",
        // Other ways to say 127.0.0.1.
        "2130706433",
        "0x7f.1",
        "127.1",
        "localhost",
        "LocalHost.",
        "a.localhost",
    ] {
        let builder = public_only(&format!("http://{host}:8000/hook?token=s3cr3t"));
        let exit = or_skip!(builder.start_and_exit().await);
        assert_eq!(exit.code, Some(64), "{host}: {exit:?}");
        assert_eq!(exit.log.len(), 1, "{host}: {exit:?}");
        for named in ["webhooks", "url", "private_addresses"] {
            assert!(exit.log[0].contains(named), "{host}: {exit:?}");
        }
        assert!(!exit.log[0].contains("s3cr3t"), "{host}: {exit:?}");
    }
}

/// A name that this machine's hosts file has for 127.0.0.1, other than localhost.
fn name_of_loopback() -> Option<String> {
    let hosts = std::fs::read_to_string("/etc/hosts").ok()?;
    let of_loopback = hosts
        .lines()
        .map(|line| {
            line.split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace()
        })
        .filter_map(|mut fields| (fields.next() == Some("127.0.0.1")).then_some(fields));
    let mut names = of_loopback.flatten();
    let name = names.find(|name| !name.contains("localhost"));
    name.map(str::to_owned)
}

#[tokio::test]
async fn a_name_of_a_private_address_is_refused_when_it_is_looked_up() {
    let Some(name) = name_of_loopback() else {
        eprintln!("skipped: this machine has no name but localhost for 127.0.0.1");
        return;
    };
    let receiver = receiver().await;
    let url = receiver.url("/hook").replace("127.0.0.1", &name);
    let builder = public_only(&url).set("server.shutdown_timeout", 1);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("public-");
    let _client = subscriber(&server, &channel).await;
    let unreachable = [("outcome", "unreachable")];
    wait_for_figure(&server, "requests_total", &unreachable, 1.0).await;
    assert_eq!(receiver.connections(), 0);
    assert_eq!(figure(&server, "events_waiting", &[]).await, 1.0);
    server.finish().await;
}

#[tokio::test]
async fn a_name_of_a_private_address_is_as_good_as_any_by_default() {
    let mut receiver = receiver().await;
    let url = receiver.url("/hook").replace("127.0.0.1", "localhost");
    let app = AppConfig::new("10001").webhook(WebhookConfig::new(&url, &["channel_occupied"]));
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("public-");
    let _client = subscriber(&server, &channel).await;
    receiver.next_event_on(&channel).await;
    server.finish().await;
}
