//! `fanfare trigger`: publishes an event.

use std::io::Read as _;

use serde_json::{Value, json};

use super::api::Api;
use super::target::TargetArgs;
use super::{Failure, print};

/// Publishes one event to one channel.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TriggerArgs {
    /// The channel.
    channel: String,

    /// The event's name. Laravel Echo listens to it with a dot before it: '.greeting'.
    event: String,

    /// The data, sent as it is; clients parse it as JSON. - reads it from stdin.
    #[arg(default_value = "{}")]
    data: String,

    /// A connection that is left out, such as the one that caused the event.
    #[arg(long, value_name = "ID")]
    socket_id: Option<String>,

    #[command(flatten)]
    target: TargetArgs,
}

const EXAMPLES: &str = "\
Examples:
  fanfare trigger news greeting '{\"text\":\"hello\"}'
  fanfare trigger --env-file ../shop/.env private-orders.7 shipped '{}'
  fanfare trigger --url http://10.0.0.7:6001 --app-id 10001 news greeting - < event.json";

/// Publishes, and prints how many subscribers there are.
pub(super) fn run(args: &TriggerArgs) -> Result<(), Failure> {
    let mut body = json!({
        "name": args.event,
        "channel": args.channel,
        "data": data(&args.data)?,
        "info": "subscription_count",
    });
    if let Some(socket_id) = &args.socket_id {
        body["socket_id"] = socket_id.as_str().into();
    }
    let api = Api::new(args.target.resolve()?)?;
    let answer = api.post("/events", &body).map_err(Failure::other)?;
    print(&report(args, &answer))
}

fn data(given: &str) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given.into());
    }
    let mut data = String::new();
    std::io::stdin()
        .read_to_string(&mut data)
        .map_err(|error| Failure::other(format!("stdin: {error}")))?;
    Ok(data)
}

fn report(args: &TriggerArgs, answer: &Value) -> String {
    let count = answer["channels"][&args.channel]["subscription_count"].as_u64();
    let subscribers = match count {
        None => String::new(),
        Some(0) => format!(
            ", 0 subscribers: nobody is subscribed to {} now",
            args.channel
        ),
        Some(1) => ", 1 subscriber".into(),
        Some(count) => format!(", {count} subscribers"),
    };
    format!(
        "{} published to {}{subscribers}\n",
        args.event, args.channel
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: TriggerArgs,
    }

    #[test]
    fn it_prints_how_many_subscribers_there_are() {
        let args = Line::parse_from(["trigger", "news", "greeting"]).args;
        let counted = |count: u64| json!({"channels": {"news": {"subscription_count": count}}});
        for (answer, line) in [
            (
                counted(0),
                "greeting published to news, 0 subscribers: nobody is subscribed to news now\n",
            ),
            (counted(1), "greeting published to news, 1 subscriber\n"),
            (json!({}), "greeting published to news\n"),
        ] {
            assert_eq!(report(&args, &answer), line);
        }
    }
}
