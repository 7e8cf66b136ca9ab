//! Redirects: followed only where the same request may go to the same server again.

use protocol_tests::{Answer, Receiver, or_skip};

use crate::support::{OCCUPANCY, figure, occupied, receiver, relay, subscriber, wait_for_figure};

/// Redirects the first request to the webhook's own path like this, and accepts every other.
fn redirect_first(receiver: &Receiver, status: u16, location: String) {
    receiver.script(move |delivery| {
        if delivery.target == "/hook" && delivery.attempt == 1 {
            Answer::Redirect(status, location.clone())
        } else {
            Answer::OK
        }
    });
}

#[tokio::test]
async fn lasting_and_passing_redirects_of_the_method_to_the_same_server_are_followed() {
    for status in [307, 308] {
        for absolute in [true, false] {
            let mut receiver = receiver().await;
            let location = if absolute {
                receiver.url("/moved?a=b")
            } else {
                "/moved?a=b".to_owned()
            };
            redirect_first(&receiver, status, location);
            let server = or_skip!(relay(&receiver, &OCCUPANCY).start().await);
            let channel = server.channel("public-");
            let _client = subscriber(&server, &channel).await;
            receiver.expect_event(occupied(&channel)).await;
            let deliveries = receiver.deliveries();
            let [first, second] = &deliveries[..] else {
                panic!("{status}: {deliveries:#?}");
            };
            assert_eq!(second.target, "/moved?a=b");
            assert_eq!(first.ids(), second.ids());
            // It is followed, not retried.
            wait_for_figure(&server, "events_sent_total", &[], 1.0).await;
            assert_eq!(figure(&server, "requests_total", &[]).await, 1.0);
            server.finish().await;
        }
    }
}

#[tokio::test]
async fn every_other_redirect_is_a_failure() {
    let elsewhere = receiver().await;
    let mut receiver = receiver().await;
    let by_name = receiver.url("/moved").replace("127.0.0.1", "localhost");
    let redirects = [
        (301, receiver.url("/moved")),
        (302, receiver.url("/moved")),
        (303, receiver.url("/moved")),
        (307, elsewhere.url("/hook")),
        (308, elsewhere.url("/hook")),
        (307, by_name),
        (307, receiver.url("/moved").replace("http:", "https:")),
        (307, "http://".to_owned()),
        (307, String::new()),
        (308, "file:///etc/passwd".to_owned()),
    ];
    // Each channel's name ends with the number of the redirect that its first request gets.
    receiver.script({
        let redirects = redirects.clone();
        move |delivery| {
            let number = delivery.events[0].channel.rsplit('-').next();
            let number: Option<usize> = number.and_then(|number| number.parse().ok());
            let (status, location) = &redirects[number.expect("a number")];
            match delivery.attempt {
                1 => Answer::Redirect(*status, location.clone()),
                _ => Answer::OK,
            }
        }
    });
    let server = or_skip!(relay(&receiver, &["channel_occupied"]).start().await);
    let base = server.channel("public-");
    let mut client = server.connect().await;
    for number in 0..redirects.len() {
        client.subscribe(&format!("{base}-{number}")).await;
    }
    for (number, redirect) in redirects.iter().enumerate() {
        let channel = format!("{base}-{number}");
        receiver.expect_event(occupied(&channel)).await;
        let deliveries = receiver.deliveries_on(&channel);
        let targets: Vec<&str> = deliveries.iter().map(|d| d.target.as_str()).collect();
        assert_eq!(targets, ["/hook", "/hook"], "{redirect:?}");
    }
    assert!(elsewhere.deliveries().is_empty());
    assert_eq!(elsewhere.connections(), 0);
    server.finish().await;
}

#[tokio::test]
async fn redirects_without_end_are_a_failure() {
    let mut receiver = receiver().await;
    receiver.script(|_| Answer::Redirect(307, "/hook".to_owned()));
    let server = or_skip!(relay(&receiver, &OCCUPANCY).start().await);
    let channel = server.channel("public-");
    let _client = subscriber(&server, &channel).await;
    let refused = [("outcome", "refused")];
    wait_for_figure(&server, "requests_total", &refused, 1.0).await;
    let followed = receiver.deliveries().len();
    assert!(followed <= 25, "{followed} requests");
    receiver.script(|_| Answer::OK);
    receiver.expect_event(occupied(&channel)).await;
    server.finish().await;
}
