//! `WWW-Authenticate` (RFC 9110, section 11.6.1), read without trusting it.

/// One way in that a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// In lower case.
    pub scheme: String,
    /// Names in lower case, values as they were meant (quotes and escapes undone).
    pub parameters: Vec<(String, String)>,
}

/// A longer header is cut; nobody needs as much.
const LONGEST: usize = 16 << 10;
const MOST_CHALLENGES: usize = 16;
const MOST_PARAMETERS: usize = 32;

impl Challenge {
    /// The value of a parameter; the first one counts.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The challenges of one header line. What cannot be understood ends the list; what came before it counts.
pub fn challenges(header: &[u8]) -> Vec<Challenge> {
    let mut reader = Reader {
        rest: &header[..header.len().min(LONGEST)],
    };
    let mut found = Vec::new();
    while found.len() < MOST_CHALLENGES {
        reader.skip_separators();
        let Some(scheme) = reader.token() else { break };
        found.push(Challenge {
            scheme: scheme.to_ascii_lowercase(),
            parameters: reader.parameters(),
        });
    }
    found
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn skip(&mut self, skipped: fn(u8) -> bool) {
        let count = self.rest.iter().take_while(|b| skipped(**b)).count();
        self.rest = &self.rest[count..];
    }

    fn skip_spaces(&mut self) {
        self.skip(is_space);
    }

    fn skip_separators(&mut self) {
        self.skip(|b| is_space(b) || b == b',');
    }

    fn token(&mut self) -> Option<&'a str> {
        let count = self.rest.iter().take_while(|b| is_token(**b)).count();
        let (token, rest) = self.rest.split_at(count);
        self.rest = rest;
        // Only ASCII is in a token.
        std::str::from_utf8(token).ok().filter(|t| !t.is_empty())
    }

    /// What follows a scheme: parameters, or a `token68`, which nobody here needs, or nothing.
    fn parameters(&mut self) -> Vec<(String, String)> {
        let mut parameters = Vec::new();
        while parameters.len() < MOST_PARAMETERS {
            let before = self.rest;
            self.skip_separators();
            match self.parameter() {
                Some(parameter) => parameters.push(parameter),
                None if parameters.is_empty() && self.rest_is_token68(before) => break,
                None => {
                    // No parameter: the next challenge begins here.
                    self.rest = before;
                    break;
                }
            }
        }
        parameters
    }

    fn parameter(&mut self) -> Option<(String, String)> {
        let name = self.token()?;
        self.skip_spaces();
        self.rest = self.rest.strip_prefix(b"=")?;
        self.skip_spaces();
        let value = match self.rest.strip_prefix(b"\"") {
            Some(rest) => {
                self.rest = rest;
                self.quoted()?
            }
            None => self.token()?.to_owned(),
        };
        Some((name.to_ascii_lowercase(), value))
    }

    /// The rest of a quoted string; `None` when its end is missing.
    fn quoted(&mut self) -> Option<String> {
        let mut value = Vec::new();
        let mut bytes = self.rest.iter().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(String::from_utf8_lossy(&value).into_owned());
                }
                b'\\' => value.push(*bytes.next()?.1),
                other => value.push(*other),
            }
        }
        None
    }

    /// Takes a `token68` (`Negotiate dG9r==`), if that is what stands here.
    fn rest_is_token68(&mut self, from: &'a [u8]) -> bool {
        self.rest = from;
        self.skip_spaces();
        self.skip(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
        let padded = self.rest.starts_with(b"=");
        self.skip(|b| b == b'=');
        padded
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: &str) -> Challenge {
        Challenge {
            scheme: "bearer".into(),
            parameters: vec![
                ("realm".into(), realm.into()),
                ("service".into(), service.into()),
            ],
        }
    }

    #[test]
    fn what_registries_send() {
        let check = |header: &str, expect: &[Challenge]| {
            assert_eq!(challenges(header.as_bytes()), expect, "{header}");
        };
        check(
            r#"Bearer realm="https://auth/token",service="reg""#,
            &[bearer("https://auth/token", "reg")],
        );
        check(
            r#"BEARER  Realm = "a\"b" , service=reg"#,
            &[bearer("a\"b", "reg")],
        );
        let basic = Challenge {
            scheme: "basic".into(),
            parameters: vec![("realm".into(), "x, y".into())],
        };
        check(r#"Basic realm="x, y""#, std::slice::from_ref(&basic));
        check(
            r#"Basic realm="x, y", Bearer realm=r,service=s"#,
            &[basic, bearer("r", "s")],
        );
        let bare = |scheme: &str| Challenge {
            scheme: scheme.into(),
            parameters: Vec::new(),
        };
        check("Negotiate", &[bare("negotiate")]);
        check(
            "Negotiate dG9r/x==, Bearer realm=r,service=s",
            &[bare("negotiate"), bearer("r", "s")],
        );
        check("", &[]);
        check(",,,", &[]);
        check(r#"Bearer realm="no end"#, &[bare("bearer")]);
    }

    #[test]
    fn scopes_keep_their_commas() {
        let header = br#"Bearer realm="r",scope="repository:a/b:pull,push""#;
        let found = challenges(header);
        assert_eq!(
            found[0].parameter("scope"),
            Some("repository:a/b:pull,push")
        );
    }

    fn written(challenge: &Challenge) -> String {
        let quoted = |(name, value): &(String, String)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{name}=\"{value}\"")
        };
        let parameters: Vec<String> = challenge.parameters.iter().map(quoted).collect();
        format!("{} {}", challenge.scheme, parameters.join(", "))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            list in prop::collection::vec(
                ("[a-z][a-z0-9-]{0,8}", prop::collection::vec(("[a-z_]{1,8}", "[ -~]{0,20}"), 1..5)),
                1..5,
            )
        ) {
            let list: Vec<Challenge> = list
                .into_iter()
                .map(|(scheme, parameters)| Challenge { scheme, parameters })
                .collect();
            let header = list.iter().map(written).collect::<Vec<_>>().join(", ");
            prop_assert_eq!(challenges(header.as_bytes()), list);
        }

        #[test]
        fn no_bytes_make_it_panic_or_grow(bytes: Vec<u8>) {
            let found = challenges(&bytes);
            prop_assert!(found.len() <= MOST_CHALLENGES);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// The promises of the fuzz target `www_authenticate`, over texts that look like the grammar.
        #[test]
        fn what_comes_of_almost_challenges_is_bounded_and_lower_case(
            text in r#"(Bearer |BASIC|Negotiate x==|[A-Z]|,| |=|"|\\|\t|realm=|[a-z]{1,3}|"[ -~]{0,4}"){0,60}"#
        ) {
            let found = challenges(text.as_bytes());
            prop_assert!(found.len() <= MOST_CHALLENGES);
            for challenge in found {
                prop_assert!(!challenge.scheme.is_empty());
                prop_assert!(challenge.parameters.len() <= 32);
                prop_assert!(!challenge.scheme.bytes().any(|b| b.is_ascii_uppercase()));
            }
        }
    }
}
