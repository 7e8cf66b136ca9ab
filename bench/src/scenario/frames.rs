//! Whether delivered frames are what was published.

use crate::net::Delivery;

/// An intact frame: what stands before and after its mark, in which alone frames of one kind
/// differ.
#[derive(Clone, Default)]
pub(super) struct KnownFrame {
    enclosing: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// Byte by byte that of a frame found intact before.
    AsBefore,
    Intact,
    Malformed,
}

impl KnownFrame {
    /// Asks whether the frame is intact only if it is not one that is known.
    pub(super) fn check(
        &mut self,
        event: &Delivery<'_>,
        is_intact: impl FnOnce() -> bool,
    ) -> Content {
        let before = &event.text[..event.mark_at.start];
        let after = &event.text[event.mark_at.end..];
        let known = self.enclosing.as_ref();
        if known.is_some_and(|(known_before, known_after)| {
            (before, after) == (known_before, known_after)
        }) {
            return Content::AsBefore;
        }
        if !is_intact() {
            return Content::Malformed;
        }
        self.enclosing = Some((before.to_vec(), after.to_vec()));
        Content::Intact
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pusher::Mark;

    #[test]
    fn frames_are_compared_in_full_until_one_is_known() {
        let mut known = KnownFrame::default();
        let event = |text: &'static [u8]| Delivery {
            mark: Mark {
                channel: 0,
                seq: 0,
                sent_at: 0,
            },
            text,
            mark_at: 1..2,
        };
        assert_eq!(known.check(&event(b"a1b"), || false), Content::Malformed);
        assert_eq!(known.check(&event(b"a2b"), || true), Content::Intact);
        let not_asked = || panic!("the frame is known");
        assert_eq!(known.check(&event(b"a3b"), not_asked), Content::AsBefore);
        assert_eq!(known.check(&event(b"a4c"), || false), Content::Malformed);
    }
}
