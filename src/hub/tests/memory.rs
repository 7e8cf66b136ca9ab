//! What a channel with one subscriber costs, and that it is given back.

use super::*;
use crate::memory::testing;

const CHANNELS: usize = 1000;
/// Bytes that a channel with one subscriber may cost in all tables together, the slack of tables that
/// grow by doubling included.
const MOST: isize = 400;

/// What has come so far is of no interest.
fn drain(client: &TcpStream) {
    let mut buffer = [0; 1 << 14];
    while client.try_read(&mut buffer).is_ok_and(|count| count > 0) {}
}

async fn join(fixture: &Fixture, registration: &Registration, client: &TcpStream) {
    for number in 0..CHANNELS {
        fixture.ask(registration, &format!("cache-invented-{number:04}"));
        fixture.authority.answer(&fixture.app);
        if number % 10 == 9 {
            settle().await;
            drain(client);
        }
    }
    settle().await;
    drain(client);
}

#[test]
fn a_channel_with_one_subscriber_costs_little_and_nothing_once_it_is_left() {
    run(async |fixture| {
        // What the shard keeps to be used again is there, and no more of it comes.
        let (registration, client) = fixture.connect(1).await;
        join(&fixture, &registration, &client).await;
        drop(registration);
        settle().await;

        let (registration, client) = fixture.connect(2).await;
        let before = testing::held();
        join(&fixture, &registration, &client).await;
        assert_eq!(fixture.gauges(), (CHANNELS as i64, CHANNELS as i64));
        assert!(registration.is_open());
        let each = (testing::held() - before) / CHANNELS as isize;
        assert!(each <= MOST, "{each} bytes");
        assert!(each >= 100, "{each} bytes: is it still counted?");

        drop(registration);
        settle().await;
        assert_eq!(fixture.gauges(), (0, 0));
        let left = testing::held() - before;
        assert!(left <= 8 << 10, "{left} bytes are left");
    });
}
