//! Up to which rate a server keeps up.

/// How much higher each rate is than the one before.
const STEP: f64 = 1.25;
/// Beyond this no server is expected to be, and no client to count.
const HIGHEST: f64 = 200_000.0;

/// Goes up from `first` until a rate is not held, and returns what was found at the last one that
/// was. One that was not is tried once more first, as it may have been the machine's doing.
/// `measure` returns None for a rate that was not held.
pub(super) fn search<T>(
    first: f64,
    mut measure: impl FnMut(f64) -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    let mut held = None;
    let mut rate = first;
    while rate < HIGHEST {
        let found = match measure(rate)? {
            None => measure(rate)?,
            found => found,
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
            Ok((rate < 1600.0).then_some(rate))
        });
        assert_eq!(held.unwrap(), Some(1562.5));
        assert_eq!(tried, [1000.0, 1250.0, 1562.5, 1953.125, 1953.125]);
    }

    #[test]
    fn a_rate_that_fails_once_is_tried_again() {
        let mut failed = false;
        let held = search(1000.0, |rate| {
            let fails = rate == 1250.0 && !std::mem::replace(&mut failed, true);
            Ok((!fails && rate < 1300.0).then_some(rate))
        });
        assert_eq!(held.unwrap(), Some(1250.0));
    }

    #[test]
    fn where_none_holds_there_is_none() {
        assert_eq!(search(1.0, |_| Ok(None::<f64>)).unwrap(), None);
    }
}
