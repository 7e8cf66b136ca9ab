//! Broadcasts an event with the driver that the environment names, as a Laravel application would:
//!
//! ```sh
//! cargo run --example broadcast
//! LOG_PATH=storage/logs/laravel.log APP_ENV=local cargo run --example broadcast
//! BROADCAST_CONNECTION=pusher PUSHER_URL=http://local:local@127.0.0.1:6001/apps/local \
//!     cargo run --example broadcast
//! ```

use std::borrow::Cow;
use std::error::Error;

use publisher::{Broadcast, BroadcastEvent, Channel, Connection};
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
async fn main() -> Result<(), Box<dyn Error>> {
    let event = OrderShipped {
        order: 7,
        carrier: "by sea",
    };
    let broadcaster = Connection::from_process_env()?.broadcaster()?;
    broadcaster.broadcast(&Broadcast::of(&event)?).await?;
    Ok(())
}
