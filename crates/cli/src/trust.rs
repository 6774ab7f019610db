//! Docker Content Trust: asked for by a variable or a flag, and refused, because we check no signatures. Whoever asks for it
//! must not get an image that nobody has checked.

use oci::Reference;

use crate::command::{Flag, Takes};
use crate::failure::Failure;
use crate::flags::{Matches, parse_bool};

const VARIABLE: &str = "DOCKER_CONTENT_TRUST";

/// The flag of all commands that content trust concerns.
pub(crate) const FLAG: Flag = Flag::no_op("disable-content-trust", None, Takes::Nothing);

/// Refuses where content trust is asked for. An image that is named by its digest is what it is, signed or not.
pub(crate) fn check(matches: &Matches, image: Option<&Reference>) -> Result<(), Failure> {
    if image.is_some_and(|image| image.digest().is_some()) {
        return Ok(());
    }
    let variable = std::env::var_os(VARIABLE).unwrap_or_default();
    let flag = matches.text(FLAG.long);
    match is_wanted(flag, &variable.to_string_lossy()) {
        false => Ok(()),
        true => Err(Failure::new(format!(
            "content trust is not supported: signatures of images are not checked. To go on without, unset {VARIABLE} or say --{}",
            FLAG.long
        ))),
    }
}

/// As Docker's client reads both: the flag goes before the variable, of which what is neither yes nor no is yes.
fn is_wanted(flag: Option<&str>, variable: &str) -> bool {
    match flag.map(parse_bool) {
        Some(disabled) => disabled == Ok(false),
        None => !variable.is_empty() && parse_bool(variable) != Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_content_trust() {
        let check = |flag: Option<&str>, variable: &str, expect: bool| {
            assert_eq!(is_wanted(flag, variable), expect, "{flag:?} {variable:?}");
        };
        check(None, "", false);
        check(None, "0", false);
        check(None, "false", false);
        check(None, "1", true);
        check(None, "yes", true);
        check(Some("true"), "1", false);
        check(Some("false"), "", true);
    }
}
