//! Broadcasts an event with the driver that the environment names, as a Laravel application would:
//!
//! ```sh
//! cargo run --example broadcast
//! BROADCAST_CONNECTION=pusher PUSHER_APP_ID=local PUSHER_APP_KEY=local PUSHER_APP_SECRET=local \
//!     cargo run --example broadcast
//! ```

use std::borrow::Cow;
use std::error::Error;

use publisher::{Broadcast, BroadcastEvent, Channel, Connection, LogBroadcaster};
use serde::Serialize;

#[derive(Serialize)]
struct OrderShipped {
    order: u64,
    carrier: &'static str,
}

impl BroadcastEvent for OrderShipped {
    fn broadcast_as(&self) -> Cow<'_, str> {
        "order.shipped".into()
    }

    fn broadcast_on(&self) -> Vec<Channel> {
        vec![Channel::private(format!("orders.{}", self.order))]
    }

    fn broadcast_with(&self) -> impl Serialize {
        self
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for a terminal")]
async fn main() -> Result<(), Box<dyn Error>> {
    let event = OrderShipped {
        order: 7,
        carrier: "by sea",
    };
    let broadcast = Broadcast::of(&event)?;
    let environment = std::env::vars().collect();
    match Connection::from_env(&environment)? {
        // Where nobody listens to `tracing`, as here, the log is not seen.
        Connection::Log => {
            use publisher::Broadcaster as _;
            let log = LogBroadcaster::to(|text| println!("{text}"));
            log.broadcast(&broadcast).await?;
        }
        other => other.broadcaster()?.broadcast(&broadcast).await?,
    }
    Ok(())
}
