//! Names for containers that were given none: a trait and someone who built, measured or wrote something.

/// Words for the front.
const TRAITS: [&str; 64] = [
    "able", "agile", "airy", "amber", "apt", "astute", "blithe", "bold", "brave", "brief",
    "bright", "brisk", "calm", "candid", "civil", "clear", "clever", "cosy", "crisp", "deft",
    "eager", "earnest", "fair", "fleet", "fond", "frank", "free", "fresh", "gentle", "glad",
    "happy", "hardy", "honest", "humble", "jolly", "keen", "kind", "lively", "lucid", "merry",
    "mild", "modest", "neat", "nimble", "noble", "patient", "placid", "polite", "prompt", "proud",
    "quick", "quiet", "ready", "serene", "sharp", "silent", "spry", "steady", "sunny", "tidy",
    "upbeat", "vivid", "warm", "wise",
];

/// Words for the back.
const PEOPLE: [&str; 64] = [
    "abel",
    "agnesi",
    "ampere",
    "anning",
    "babbage",
    "banach",
    "bassi",
    "bohr",
    "boole",
    "borg",
    "cantor",
    "carson",
    "cerf",
    "curie",
    "darwin",
    "dijkstra",
    "easley",
    "einstein",
    "euler",
    "faraday",
    "fermi",
    "floyd",
    "franklin",
    "galileo",
    "galois",
    "gauss",
    "germain",
    "goodall",
    "hamilton",
    "hertz",
    "hoare",
    "hopper",
    "huygens",
    "hypatia",
    "jemison",
    "kepler",
    "knuth",
    "lamarr",
    "lamport",
    "leibniz",
    "liskov",
    "lovelace",
    "maxwell",
    "meitner",
    "mendel",
    "mirzakhani",
    "newton",
    "nightingale",
    "noether",
    "pasteur",
    "perlman",
    "planck",
    "ramanujan",
    "ride",
    "ritchie",
    "shannon",
    "somerville",
    "tesla",
    "thompson",
    "torvalds",
    "turing",
    "volta",
    "wilson",
    "yalow",
];

/// The name that `seed` picks; with `again` above zero, a number follows, as more names of this kind are taken.
pub(crate) fn pick(seed: u32, again: u32) -> String {
    let front = TRAITS[seed as usize % TRAITS.len()];
    let back = PEOPLE[(seed >> 16) as usize % PEOPLE.len()];
    match again {
        0 => format!("{front}_{back}"),
        n => format!("{front}_{back}{n}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_and_differ() {
        assert_eq!(pick(0, 0), "able_abel");
        assert_eq!(pick(1 << 16, 3), "able_agnesi3");
        assert_eq!(pick(u32::MAX, 0), "wise_yalow");
    }
}
