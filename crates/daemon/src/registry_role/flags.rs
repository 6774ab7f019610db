//! The command line of `tare registry`: one table of options, which is also the help.

use std::collections::BTreeMap;

/// One option.
pub(super) struct Opt {
    pub(super) name: &'static str,
    /// What its value is called in the help; empty for a switch.
    value: &'static str,
    many: bool,
    help: &'static str,
}

const fn one(name: &'static str, value: &'static str, help: &'static str) -> Opt {
    Opt {
        name,
        value,
        many: false,
        help,
    }
}

const fn many(name: &'static str, value: &'static str, help: &'static str) -> Opt {
    Opt {
        name,
        value,
        many: true,
        help,
    }
}

const fn switch(name: &'static str, help: &'static str) -> Opt {
    one(name, "", help)
}

pub(super) const SERVE: &[Opt] = &[
    one("root", "DIR", "where everything is kept (needed)"),
    one(
        "addr",
        "ADDRESS:PORT",
        "where clients reach it (127.0.0.1:5000)",
    ),
    one("tls-cert", "FILE", "certificate chain, PEM"),
    one("tls-key", "FILE", "its private key, PEM"),
    one(
        "tls-client-ca",
        "FILE",
        "let only clients in with a certificate of these CAs",
    ),
    switch("plain-http", "serve without TLS beyond this machine"),
    one(
        "auth",
        "none|basic|token",
        "how clients log in (basic with --htpasswd, token with --token-key, else none)",
    ),
    one("htpasswd", "FILE", "names and bcrypt hashes (htpasswd -B)"),
    switch(
        "anonymous-pull",
        "let everyone read; --auth basic or token guards writing",
    ),
    one(
        "token-key",
        "FILE",
        "take tokens that were signed with this public key (PEM: RSA, P-256, P-384, Ed25519)",
    ),
    one("token-realm", "URL", "where such tokens are given out"),
    one("token-service", "NAME", "for whom they are (aud)"),
    one("token-issuer", "NAME", "whose they are (iss)"),
    switch("read-only", "take nothing from clients"),
    switch("delete", "let clients delete tags, manifests and blobs"),
    one("max-uploads", "COUNT", "unfinished uploads at once (10000)"),
    one(
        "max-upload-bytes",
        "SIZE",
        "bytes of all unfinished uploads (256g)",
    ),
    one("max-blob-bytes", "SIZE", "bytes of one blob (64g)"),
    one(
        "max-connections",
        "COUNT",
        "connections at once, more wait (4096)",
    ),
    one(
        "timeout",
        "TIME",
        "for a client to send or take something (60s)",
    ),
    one(
        "gc-interval",
        "TIME|off",
        "between garbage collections (1h)",
    ),
    one(
        "gc-grace",
        "TIME",
        "how long blobs stay that no manifest names (1h)",
    ),
    one(
        "upload-grace",
        "TIME",
        "how long uploads stay that nothing comes to (1d)",
    ),
    many(
        "keep",
        "RULE",
        "retention, such as 'team/*:last=5,age=30d,tags=pr-*,untagged=7d'",
    ),
    many(
        "upstream",
        "PREFIX=REGISTRY",
        "serve PREFIX/... from that registry and keep it; an empty PREFIX is for all other names",
    ),
    many(
        "upstream-login",
        "PREFIX=FILE",
        "USER:PASSWORD for that upstream, in a file",
    ),
    many(
        "insecure-upstream",
        "HOST",
        "reach this upstream without TLS, or with any certificate",
    ),
    one(
        "upstream-fresh",
        "TIME",
        "how long a cached tag is believed (5m)",
    ),
    one(
        "metrics-addr",
        "ADDRESS:PORT",
        "serve /metrics there too, without login",
    ),
    one(
        "log-level",
        "debug|info|warn|error",
        "how much is told (info)",
    ),
];

pub(super) const GC: &[Opt] = &[
    one(
        "root",
        "DIR",
        "where the registry keeps everything (needed)",
    ),
    one(
        "gc-grace",
        "TIME",
        "how long blobs stay that no manifest names (1h); not while it is being served",
    ),
    one(
        "upload-grace",
        "TIME",
        "how long uploads stay that nothing comes to (1d); likewise",
    ),
    many("keep", "RULE", "retention, as for serve; likewise"),
];

pub(super) const CHECK: &[Opt] = &[
    one(
        "root",
        "DIR",
        "where the registry keeps everything (needed)",
    ),
    switch(
        "repair",
        "drop what is damaged, so that it can be pushed again",
    ),
];

/// What was said, by option.
#[derive(Debug, Default)]
pub(super) struct Said(BTreeMap<&'static str, Vec<String>>);

impl Said {
    /// Reads the words after the command.
    pub(super) fn parse(table: &'static [Opt], words: &[String]) -> Result<Said, String> {
        let mut said = Said::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let flag = word
                .strip_prefix("--")
                .ok_or_else(|| format!("unexpected argument: {word}"))?;
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            let unknown = || format!("unknown flag: --{name}");
            let opt = table
                .iter()
                .find(|opt| opt.name == name)
                .ok_or_else(unknown)?;
            let value = if opt.value.is_empty() {
                match value.as_deref() {
                    None | Some("true") => "true".to_owned(),
                    Some("false") => continue,
                    Some(other) => {
                        return Err(format!(
                            "invalid argument {other:?} for --{name}: not a boolean"
                        ));
                    }
                }
            } else {
                let next = value.or_else(|| words.next().cloned());
                next.ok_or_else(|| format!("flag needs an argument: --{name}"))?
            };
            let values = said.0.entry(opt.name).or_default();
            if !opt.many {
                values.clear();
            }
            values.push(value);
        }
        Ok(said)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.last().map(String::as_str)
    }

    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Reads a value, or says which option has the wrong one.
    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let value =
            |text| read(text).ok_or_else(|| format!("invalid argument {text:?} for --{name}"));
        self.get(name).map(value).transpose()
    }
}

/// The options with what they do.
pub(super) fn usage(table: &[Opt]) -> String {
    let shown = |opt: &Opt| format!("--{} {}", opt.name, opt.value);
    let width = table
        .iter()
        .map(|opt| shown(opt).len())
        .max()
        .unwrap_or_default();
    let line = |opt: &Opt| format!("  {:width$}  {}\n", shown(opt), opt.help);
    table.iter().map(line).collect()
}

/// `90s`, `15m`, `36h`, `30d`, `4w`.
pub(super) fn time(text: &str) -> Option<std::time::Duration> {
    let unit = text.chars().last()?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    number
        .checked_mul(seconds)
        .map(std::time::Duration::from_secs)
}

/// `500`, `64k`, `10m`, `2g`, `1t`: powers of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(['k', 'm', 'g', 't', 'b']);
    let shift = match lower.strip_prefix(digits)?.trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> Result<Said, String> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        Said::parse(SERVE, &words)
    }

    #[test]
    fn words() {
        let read = said(&[
            "--root",
            "/x",
            "--keep=a:last=1",
            "--keep",
            "b:last=2",
            "--delete",
            "--read-only=false",
        ])
        .unwrap();
        assert_eq!(read.get("root"), Some("/x"));
        assert_eq!(read.all("keep"), ["a:last=1", "b:last=2"]);
        assert!(read.is_set("delete") && !read.is_set("read-only"));
    }

    #[test]
    fn what_is_refused_is_named() {
        let check = |words: &[&str], part: &str| {
            let text = said(words).unwrap_err();
            assert!(text.contains(part), "{text}");
        };
        check(&["--storage", "s3"], "--storage");
        check(&["--root"], "--root");
        check(&["x"], "x");
        check(&["--delete=maybe"], "--delete");
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(size("2g"), Some(2 << 30));
        assert_eq!(size("10MB"), Some(10 << 20));
        assert_eq!(size("7"), Some(7));
        assert_eq!(
            (size(""), size("x"), size("9999999999t"), size("1gg")),
            (None, None, None, None)
        );
        assert_eq!(time("2h").unwrap().as_secs(), 7_200);
        assert_eq!(
            (time(""), time("5"), time("h"), time("5é")),
            (None, None, None, None)
        );
    }
}
