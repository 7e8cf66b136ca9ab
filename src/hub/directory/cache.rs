//! The last event of cache channels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use lru::LruCache;

use crate::hub::outcome::CachedEvent;
use crate::metrics::AppMetrics;
use crate::protocol::Frame;

/// An app's cached events. They outlive their subscribers until they expire; when the app's
/// bytes are used up, those used least recently go first.
#[derive(Debug)]
pub(super) struct EventCache {
    events: LruCache<Arc<str>, Cached, RandomState>,
    bytes: usize,
    max_bytes: usize,
    ttl: Duration,
    /// When the whole cache is next looked through for what has expired.
    next_sweep: Option<Instant>,
    metrics: AppMetrics,
}

#[derive(Debug)]
struct Cached {
    frame: Frame,
    expires_at: Instant,
}

impl EventCache {
    pub(super) fn new(max_bytes: usize, ttl: Duration, metrics: AppMetrics) -> Self {
        Self {
            events: LruCache::unbounded_with_hasher(RandomState::default()),
            bytes: 0,
            max_bytes,
            ttl,
            next_sweep: None,
            metrics,
        }
    }

    /// Keeps an event as its channel's last.
    pub(super) fn put(&mut self, channel: &str, frame: Frame, now: Instant) {
        self.put_for(channel, frame, now, self.ttl);
    }

    /// Keeps an event as its channel's last, for so long.
    pub(super) fn put_for(&mut self, channel: &str, frame: Frame, now: Instant, left: Duration) {
        self.bytes += Self::cost(channel, &frame);
        let cached = Cached {
            expires_at: now + left,
            frame,
        };
        if let Some(old) = self.events.put(channel.into(), cached) {
            self.bytes -= Self::cost(channel, &old.frame);
        }
        self.make_room();
    }

    /// At most so many bytes are kept from now on, and what comes is kept for so long.
    pub(super) fn set_limits(&mut self, max_bytes: usize, ttl: Duration) {
        self.max_bytes = max_bytes;
        self.ttl = ttl;
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.bytes > self.max_bytes {
            let Some((channel, oldest)) = self.events.pop_lru() else {
                break;
            };
            self.bytes -= Self::cost(&channel, &oldest.frame);
            self.metrics.cache_evictions.inc();
        }
        self.metrics.cached_bytes.set(self.bytes as i64);
    }

    /// The channel has no last event.
    pub(super) fn remove(&mut self, channel: &str) {
        if let Some(cached) = self.events.pop(channel) {
            self.bytes -= Self::cost(channel, &cached.frame);
            self.metrics.cached_bytes.set(self.bytes as i64);
        }
    }

    /// The channel's last event.
    pub(super) fn get(&mut self, channel: &str, now: Instant) -> Option<CachedEvent> {
        let cached = self.events.get(channel)?;
        let left = cached.expires_at.saturating_duration_since(now);
        (!left.is_zero()).then(|| CachedEvent {
            frame: cached.frame.clone(),
            left,
        })
    }

    /// Drops what has expired, now and then: it is not handed out in any case, and looking
    /// through everything takes its time.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.next_sweep.is_some_and(|at| now < at) {
            return;
        }
        self.next_sweep = Some(now + self.ttl / 16);
        let expired: Vec<Arc<str>> = self
            .events
            .iter()
            .filter(|(_, cached)| cached.expires_at <= now)
            .map(|(channel, _)| Arc::clone(channel))
            .collect();
        for channel in expired {
            if let Some(cached) = self.events.pop(&channel) {
                self.bytes -= Self::cost(&channel, &cached.frame);
            }
        }
        self.metrics.cached_bytes.set(self.bytes as i64);
    }

    /// What an entry takes up, the tables' own overhead roughly included.
    fn cost(channel: &str, frame: &Frame) -> usize {
        const ENTRY: usize = 160;
        channel.len() + frame.len() + ENTRY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn cache(max_bytes: usize) -> EventCache {
        let metrics = Metrics::new().app("1");
        EventCache::new(max_bytes, Duration::from_secs(60), metrics)
    }

    fn event(size: usize) -> Frame {
        Frame::text(size, |out| out.resize(out.len() + size, b'x'))
    }

    #[test]
    fn the_last_event_is_kept_until_it_expires() {
        let (mut cache, start) = (cache(10_000), Instant::now());
        cache.put("c", event(1), start);
        cache.put("c", event(2), start);
        let expected = CachedEvent {
            frame: event(2),
            left: Duration::from_secs(40),
        };
        let cached = cache.get("c", start + Duration::from_secs(20));
        assert_eq!(cached, Some(expected));
        assert!(cache.get("c", start + Duration::from_secs(60)).is_none());
        cache.expire(start + Duration::from_secs(60));
        assert_eq!((cache.bytes, cache.events.len()), (0, 0));
    }

    #[test]
    fn least_recently_used_events_make_room() {
        let (mut cache, now) = (cache(2000), Instant::now());
        cache.put("a", event(700), now);
        cache.put("b", event(700), now);
        cache.get("a", now);
        cache.put("c", event(700), now);
        assert!(cache.get("a", now).is_some() && cache.get("c", now).is_some());
        assert!(cache.get("b", now).is_none());
        assert_eq!(cache.metrics.cache_evictions.get(), 1);
        cache.put("d", event(5000), now);
        assert_eq!((cache.bytes, cache.events.len()), (0, 0));
    }
}
