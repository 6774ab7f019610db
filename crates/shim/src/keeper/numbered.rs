//! Things by their numbers. Numbers ascend, so a sorted list does what a tree would, with a fraction of its code: and a tree's code is there
//! once for each kind of thing.

pub(super) struct Numbered<T> {
    /// Boxed, so that taking one out moves little.
    all: Vec<(u32, Box<T>)>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { all: Vec::new() }
    }
}

impl<T> Numbered<T> {
    fn place(&self, number: u32) -> Result<usize, usize> {
        self.all.binary_search_by_key(&number, |(of, _)| *of)
    }

    pub(super) fn insert(&mut self, number: u32, one: T) {
        let one = (number, Box::new(one));
        match self.place(number) {
            Ok(at) => self.all[at] = one,
            Err(at) => self.all.insert(at, one),
        }
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let at = self.place(number).ok()?;
        Some(&self.all[at].1)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let at = self.place(number).ok()?;
        Some(&mut self.all[at].1)
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<T> {
        let at = self.place(number).ok()?;
        Some(*self.all.remove(at).1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.all.iter().map(|(number, one)| (*number, &**one))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.all.iter().map(|(_, one)| &**one)
    }

    /// The numbers of those that fit.
    pub(super) fn numbers_of(&self, fits: impl Fn(&T) -> bool) -> Vec<u32> {
        let fitting = self.iter().filter(|(_, one)| fits(one));
        fitting.map(|(number, _)| number).collect()
    }

    pub(super) fn retain(&mut self, stays: impl Fn(&T) -> bool) {
        self.all.retain(|(_, one)| stays(one));
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_map(steps in prop::collection::vec((0u32..12, any::<bool>()), 0..60)) {
            let (mut mine, mut model) = (Numbered::default(), BTreeMap::new());
            for (at, (number, adds)) in steps.into_iter().enumerate() {
                if adds {
                    mine.insert(number, at);
                    model.insert(number, at);
                } else {
                    prop_assert_eq!(mine.remove(number), model.remove(&number));
                }
                prop_assert_eq!(mine.get(number), model.get(&number));
            }
            prop_assert_eq!(mine.len(), model.len());
            prop_assert!(mine.iter().eq(model.iter().map(|(number, one)| (*number, one))));
        }
    }
}
