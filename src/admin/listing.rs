//! Parts of lists that are ordered by a text.

/// The items behind `after`, so many at most, in order; and where the next part begins, if there is one. Costs as much as
/// looking at each, and sorts no more than it returns.
pub(super) fn part<T>(
    mut items: Vec<T>,
    text: impl Fn(&T) -> &str,
    after: Option<&str>,
    most: usize,
) -> (Vec<T>, Option<String>) {
    if let Some(after) = after {
        items.retain(|item| text(item) > after);
    }
    let goes_on = items.len() > most;
    let order = |one: &T, other: &T| text(one).cmp(text(other));
    if goes_on {
        items.select_nth_unstable_by(most, order);
        items.truncate(most);
    }
    items.sort_unstable_by(order);
    let next = items
        .last()
        .filter(|_| goes_on)
        .map(|last| text(last).to_owned());
    (items, next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_parts_are_the_whole_in_order(
            names in prop::collection::btree_set("[a-d]{1,3}", 0..40),
            most in 1_usize..12,
        ) {
            let sorted: Vec<String> = names.iter().cloned().collect();
            let mut shuffled = sorted.clone();
            shuffled.reverse();
            let (mut all, mut after) = (Vec::new(), None::<String>);
            loop {
                let (some, next) = part(shuffled.clone(), |name| name, after.as_deref(), most);
                prop_assert!(some.len() <= most);
                all.extend(some);
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            prop_assert_eq!(all, sorted);
        }
    }
}
