//! `--filter name=value`.

use api::types::filters::Filters;

use crate::command::Flag;
use crate::flags::Matches;

/// The flag, for lists, events and prune alike.
pub(crate) const FLAG: Flag = Flag::checked_list(
    "filter",
    Some('f'),
    "filter",
    check,
    "Only what matches (name=value; values of one name are alternatives)",
);

/// The flag where the letter is taken by `--force`.
pub(crate) const PRUNE_FLAG: Flag = Flag::checked_list(
    "filter",
    None,
    "filter",
    check,
    "Only what matches (such as until=24h or label=key=value)",
);

fn check(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains('=') {
        Ok(())
    } else {
        Err("bad format of filter (expected name=value)".to_owned())
    }
}

/// All of a command's filters.
pub(crate) fn filters(matches: &Matches) -> Filters {
    let mut filters = Filters::default();
    for text in matches.list("filter") {
        if let Some((name, value)) = text.split_once('=') {
            filters.add(name.trim().to_lowercase(), value.trim());
        }
    }
    filters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_a_name_and_a_value() {
        assert_eq!(check("label=a=b"), Ok(()));
        assert_eq!(
            check("foo"),
            Err("bad format of filter (expected name=value)".to_owned())
        );
    }
}
