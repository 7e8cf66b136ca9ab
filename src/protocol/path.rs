//! Paths of requests, as libraries put them together.

/// A path without the slashes that are too many at its front and its end, and without the
/// configured prefix, which it may or may not begin with: what is left of `//app/KEY`,
/// `/relay//apps/ID/events` and `/apps/ID/events/` is what was meant. Slashes in between stay:
/// there they enclose a name.
pub fn bare<'p>(path: &'p str, prefix: &str) -> &'p str {
    let path = one_slash_before(path);
    let path = path
        .strip_prefix(prefix)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .map_or(path, one_slash_before);
    match path.strip_suffix('/') {
        Some(rest) if !rest.is_empty() => rest,
        _ => path,
    }
}

fn one_slash_before(path: &str) -> &str {
    let slashes = path.len() - path.trim_start_matches('/').len();
    &path[slashes.saturating_sub(1)..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slashes_that_are_too_many_and_the_prefix_are_left_out() {
        for (path, prefix, expected) in [
            ("/app/key", "", "/app/key"),
            ("//app/key", "", "/app/key"),
            ("///app/key/", "", "/app/key"),
            ("/relay/app/key", "/relay", "/app/key"),
            ("//relay//app/key", "/relay", "/app/key"),
            ("/app/key", "/relay", "/app/key"),
            ("/relayed/app/key", "/relay", "/relayed/app/key"),
            ("/relay", "/relay", ""),
            ("/relay/", "/relay", "/"),
            ("/", "", "/"),
            ("//", "", "/"),
            ("", "", ""),
            ("*", "", "*"),
            ("/apps/1/channels//", "", "/apps/1/channels/"),
            ("/apps//events", "", "/apps//events"),
        ] {
            assert_eq!(bare(path, prefix), expected, "{path} {prefix}");
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_part_of_the_path(path in "[/a-zü%]*", prefix in "(/[a-z]+)?") {
            prop_assert!(path.contains(bare(&path, &prefix)));
        }
    }
}
