//! Names for containers that were given none: a trait and someone who built, measured or wrote something; and
//! Docker's rule for those that people give.

use crate::error::{Error, Result};

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

/// A random name; `again` counts the attempts that met a taken one.
pub(crate) fn random(again: u32) -> String {
    pick(
        getrandom::u32().expect("getrandom(2) does not fail once the kernel has booted"),
        again,
    )
}

/// Checks a name by Docker's rule and strips one leading slash.
pub(crate) fn checked(name: &str) -> Result<&str> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let mut bytes = bare.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bare.len() >= 2
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if good {
        Ok(bare)
    } else {
        Err(Error::invalid(format!(
            "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )))
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

    #[test]
    fn names_follow_docker_s_rule() {
        for (name, good) in [
            ("ab", true),
            ("/ab", true),
            ("a", false),
            ("", false),
            ("-a", false),
            ("a/b", false),
            ("a b", false),
            ("a.b-c_d", true),
            ("\u{e9}1", false),
        ] {
            assert_eq!(checked(name).is_ok(), good, "{name}");
        }
        for again in 0..9 {
            assert!(checked(&random(again)).is_ok());
        }
    }
}
