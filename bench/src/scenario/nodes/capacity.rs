//! Up to which rate a server keeps up.

/// How much higher each rate is than the one before.
const STEP: f64 = 1.25;
/// Beyond this no server is expected to be, and no client to count.
const HIGHEST: f64 = 200_000.0;
/// How often a rate is tried that is not held: at most, and undisturbed.
const TRIES: u32 = 5;
const FAIR_TRIES: u32 = 2;

/// What was found at a rate.
pub(super) enum Found<T> {
    Held(T),
    NotHeld,
    /// Not held while other programs used the machine: perhaps it was their doing.
    Disturbed,
}

/// Goes up from `first` until a rate is not held, and returns what was found at the last one that
/// was.
pub(super) fn search<T>(
    first: f64,
    mut measure: impl FnMut(f64) -> anyhow::Result<Found<T>>,
) -> anyhow::Result<Option<T>> {
    let mut held = None;
    let mut rate = first;
    while rate < HIGHEST {
        let (mut tries, mut fair_tries) = (0, 0);
        let found = loop {
            tries += 1;
            match measure(rate)? {
                Found::Held(found) => break Some(found),
                Found::NotHeld => fair_tries += 1,
                Found::Disturbed => {}
            }
            if tries == TRIES || fair_tries == FAIR_TRIES {
                break None;
            }
        };
        if found.is_none() {
            break;
        }
        held = found;
        rate *= STEP;
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rate_that_held_is_found() {
        let mut tried = Vec::new();
        let held = search(1000.0, |rate| {
            tried.push(rate);
            Ok(if rate < 1600.0 {
                Found::Held(rate)
            } else {
                Found::NotHeld
            })
        });
        assert_eq!(held.unwrap(), Some(1562.5));
        assert_eq!(tried, [1000.0, 1250.0, 1562.5, 1953.125, 1953.125]);
    }

    #[test]
    fn a_rate_that_is_not_held_is_tried_again_more_often_if_it_was_disturbed() {
        let mut tried = Vec::new();
        let held = search(1000.0, |rate| {
            tried.push(rate);
            Ok(match tried.len() {
                1 | 5 => Found::Held(rate),
                2 => Found::NotHeld,
                _ => Found::Disturbed,
            })
        });
        assert_eq!(held.unwrap(), Some(1250.0));
        let tries = |rate| tried.iter().filter(|tried| **tried == rate).count();
        assert_eq!((tries(1000.0), tries(1250.0), tries(1562.5)), (1, 4, 5));
    }

    #[test]
    fn where_none_holds_there_is_none() {
        let never = |_| Ok(Found::<f64>::NotHeld);
        assert_eq!(search(1.0, never).unwrap(), None);
    }
}
