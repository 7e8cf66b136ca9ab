//! `fanfare channels`: lists the channels that somebody is subscribed to.

use std::fmt::Write as _;

use serde_json::Value;

use super::api::Api;
use super::target::TargetArgs;
use super::{Failure, print};

/// Lists the occupied channels of an app.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ChannelsArgs {
    /// Only channels whose names begin so.
    #[arg(default_value = "")]
    prefix: String,

    /// What to list of each: subscription_count (connections), user_count (members; needs the
    /// prefix presence-) [default: whichever the prefix allows].
    #[arg(long, value_name = "NAMES")]
    info: Option<String>,

    /// Print the relay's answer as it is.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    target: TargetArgs,
}

const EXAMPLES: &str = "\
Examples:
  fanfare channels
  fanfare channels presence-
  fanfare channels --env-file ../shop/.env private-orders. --json";

/// Lists channels with their numbers, by name.
pub(super) fn run(args: &ChannelsArgs) -> Result<(), Failure> {
    let info = args
        .info
        .as_deref()
        .unwrap_or(if args.prefix.starts_with("presence-") {
            "subscription_count,user_count"
        } else {
            "subscription_count"
        });
    let mut parameters = vec![("info", info)];
    if !args.prefix.is_empty() {
        parameters.push(("filter_by_prefix", &args.prefix));
    }
    let api = Api::new(args.target.resolve()?)?;
    let answer = api.get("/channels", &parameters).map_err(Failure::other)?;
    print(&if args.json {
        format!("{answer}\n")
    } else {
        table(&answer)
    })
}

/// A line for each channel: its name, then what is known of it.
fn table(answer: &Value) -> String {
    let mut channels: Vec<_> = answer["channels"]
        .as_object()
        .into_iter()
        .flatten()
        .collect();
    channels.sort_by_key(|(name, _)| *name);
    let width = channels
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0);
    let mut table = String::new();
    for (name, attributes) in channels {
        let attributes: Vec<String> = attributes
            .as_object()
            .into_iter()
            .flatten()
            .map(|(attribute, value)| format!("{attribute} {value}"))
            .collect();
        let line = format!("{name:<width$}  {}", attributes.join("  "));
        writeln!(table, "{}", line.trim_end()).expect("writing to a String cannot fail");
    }
    if table.is_empty() {
        "nobody is subscribed to any such channel\n".into()
    } else {
        table
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn channels_are_listed_by_name_with_what_is_known_of_them() {
        let answer = json!({"channels": {
            "presence-room": {"subscription_count": 3, "user_count": 2},
            "news": {"subscription_count": 12},
            "plain": {},
        }});
        assert_eq!(
            table(&answer),
            "news           subscription_count 12\n\
             plain\n\
             presence-room  subscription_count 3  user_count 2\n"
        );
        let nobody = table(&json!({"channels": {}}));
        assert_eq!(nobody, "nobody is subscribed to any such channel\n");
    }
}
