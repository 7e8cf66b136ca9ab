//! What is made of the descriptors that the process may have.

/// Descriptors left for everything but WebSockets: listeners, publishers, the log.
const RESERVED: u64 = 512;
/// Connections that the admin listener takes at most.
const MOST_ADMIN: u64 = 128;

/// How many WebSockets fit under a limit on open files. When descriptors run out, nothing is
/// accepted any more, health checks included: so sockets are refused before.
pub fn sockets_within(limit: u64) -> usize {
    let sockets = limit.saturating_sub(RESERVED).max(limit / 2);
    usize::try_from(sockets).unwrap_or(usize::MAX)
}

/// How many connections the admin listener may take, which has a limit of its own: neither
/// listener can take the descriptors of the other.
pub fn admin_within(limit: u64) -> usize {
    let connections = (limit / 16).clamp(8, MOST_ADMIN);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_always_left() {
        for limit in [16, 1024, 20_000, u64::MAX] {
            assert!((sockets_within(limit) as u64) < limit);
        }
        assert_eq!(sockets_within(20_000), 19_488);
        assert_eq!(sockets_within(256), 128);
    }

    #[test]
    fn the_admin_listener_takes_few() {
        assert_eq!(admin_within(700), 43);
        assert_eq!(admin_within(1 << 20), 128);
    }
}
