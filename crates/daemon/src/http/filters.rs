//! The `filters` parameter, with Docker's texts where it is wrong.

use std::collections::BTreeMap;

use api::types::filters::Filters as Wire;

use super::failure::Failure;
use super::query::Query;

/// Values by filter name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    pub(crate) fn from_query(query: &Query) -> Result<Self, Failure> {
        Self::parse(query.text("filters"))
    }

    /// Reads `{"label":{"a=b":true}}` or `{"label":["a=b"]}`, the form that old clients still send.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wire = Wire::parse(text).map_err(|_| Failure::bad_request("invalid filter"))?;
        let lists = wire
            .0
            .into_iter()
            .map(|(name, set)| (name, set.into_iter().collect()));
        Ok(Self(lists.collect()))
    }

    /// Fails on a name that the endpoint does not know, with Docker's text.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Failure> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Failure::bad_request(format!("invalid filter '{name}'"))),
            None => Ok(()),
        }
    }

    pub(crate) fn get(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// In the form in which the engine takes them.
    pub(crate) fn into_map(self) -> BTreeMap<String, Vec<String>> {
        self.0
    }

    /// A filter that is true or false; Docker's words, and its text for others.
    pub(crate) fn switch(&self, name: &str) -> Result<Option<bool>, Failure> {
        let values = self.get(name);
        let yes = values.iter().any(|v| v == "1" || v == "true");
        let no = values.iter().any(|v| v == "0" || v == "false");
        match (values, yes, no) {
            ([], ..) => Ok(None),
            (_, true, false) => Ok(Some(true)),
            (_, false, true) => Ok(Some(false)),
            _ => Err(Failure::bad_request(format!(
                "invalid filter '{name}=[{}]'",
                values.join(" ")
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_ones() {
        for text in [
            "foo",
            "[]",
            "3",
            r#"{"a":"b"}"#,
            r#"{"a":[1]}"#,
            r#"{"a":{"b":3}}"#,
        ] {
            assert_eq!(
                Filters::parse(text).unwrap_err().message,
                "invalid filter",
                "{text}"
            );
        }
        let foo = Filters::parse(r#"{"foo":["a"]}"#).unwrap();
        assert_eq!(
            foo.only(&["label"]).unwrap_err().message,
            "invalid filter 'foo'"
        );
    }

    #[test]
    fn switches() {
        let f = Filters::parse(r#"{"dangling":["true"],"x":["0"],"y":["zork"]}"#).unwrap();
        assert_eq!(f.switch("dangling").unwrap(), Some(true));
        assert_eq!(f.switch("x").unwrap(), Some(false));
        assert_eq!(f.switch("z").unwrap(), None);
        assert_eq!(
            f.switch("y").unwrap_err().message,
            "invalid filter 'y=[zork]'"
        );
    }
}
