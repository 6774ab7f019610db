//! A set of numbers, kept as ranges that neither overlap nor touch.

use std::collections::BTreeMap;

/// Finding, adding and removing take O(log n) in the number of ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    /// First to last, both in the set.
    ranges: BTreeMap<u128, u128>,
}

impl Ranges {
    pub(super) fn contains(&self, number: u128) -> bool {
        self.around(number).is_some()
    }

    fn around(&self, number: u128) -> Option<(u128, u128)> {
        let (&first, &last) = self.ranges.range(..=number).next_back()?;
        (number <= last).then_some((first, last))
    }

    /// The lowest number from `first` to `last` that is not in the set.
    pub(super) fn lowest_free(&self, first: u128, last: u128) -> Option<u128> {
        let free = match self.around(first) {
            Some((_, end)) => end.checked_add(1)?,
            None => first,
        };
        (free <= last).then_some(free)
    }

    /// False if it is there already.
    pub(super) fn insert(&mut self, number: u128) -> bool {
        if self.contains(number) {
            return false;
        }
        let below = number.checked_sub(1).and_then(|n| self.around(n));
        let above = number.checked_add(1).and_then(|n| self.around(n));
        if let Some((first, _)) = above {
            self.ranges.remove(&first);
        }
        let first = below.map_or(number, |(first, _)| first);
        let last = above.map_or(number, |(_, last)| last);
        self.ranges.insert(first, last);
        true
    }

    /// False if it is not there.
    pub(super) fn remove(&mut self, number: u128) -> bool {
        let Some((first, last)) = self.around(number) else {
            return false;
        };
        self.ranges.remove(&first);
        if first < number {
            self.ranges.insert(first, number - 1);
        }
        if number < last {
            self.ranges.insert(number + 1, last);
        }
        true
    }

    /// How many numbers from `first` to `last` are in the set.
    pub(super) fn count(&self, first: u128, last: u128) -> u128 {
        if first > last {
            return 0;
        }
        let before = self.around(first).map(|(start, _)| start);
        self.ranges
            .range(before.unwrap_or(first)..=last)
            .map(|(&start, &end)| end.min(last) - start.max(first) + 1)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set(steps in prop::collection::vec((any::<bool>(), 0u128..40), 0..200)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (add, number) in steps {
                if add {
                    prop_assert_eq!(ranges.insert(number), set.insert(number));
                } else {
                    prop_assert_eq!(ranges.remove(number), set.remove(&number));
                }
                let borders: Vec<_> = ranges.ranges.iter().collect();
                prop_assert!(borders.windows(2).all(|w| *w[0].1 + 1 < *w[1].0));
            }
            for number in 0..41 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
                let free = (number..=40).find(|n| !set.contains(n));
                prop_assert_eq!(ranges.lowest_free(number, 40), free);
                let held = set.iter().filter(|n| (number..=30).contains(*n)).count();
                prop_assert_eq!(ranges.count(number, 30), held as u128);
            }
        }
    }

    #[test]
    fn the_highest_number_is_no_exception() {
        let mut ranges = Ranges::default();
        assert!(ranges.insert(u128::MAX));
        assert_eq!(ranges.lowest_free(u128::MAX, u128::MAX), None);
        assert!(ranges.remove(u128::MAX));
        assert_eq!(ranges.lowest_free(u128::MAX, u128::MAX), Some(u128::MAX));
    }
}
