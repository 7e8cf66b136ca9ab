//! Publishes to the development app of a Fanfare on this machine, and asks who is there:
//!
//! ```sh
//! cargo run -- serve &
//! cargo run --package publisher --example publish -- news greeting '{"text":"hello"}'
//! ```

use std::error::Error;

use publisher::{Channel, Client, Config, Event, Info, Scheme};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for a terminal")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [channel, name, data] = arguments.as_slice() else {
        return Err("expected three arguments: a channel, the event's name, its data".into());
    };
    let config = Config::new("local", "local", "local")
        .scheme(Scheme::Http)
        .host("127.0.0.1")
        .port(6001);
    let client = Client::new(config)?;
    let event = Event::text(name, data).info(&[Info::SubscriptionCount]);
    let known = client.trigger(&[Channel::named(channel)], &event).await?;
    for (channel, info) in known {
        let subscribers = info.subscription_count.unwrap_or_default();
        println!("{channel}: {subscribers} connections");
    }
    Ok(())
}
