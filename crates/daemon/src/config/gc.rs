//! `gc` in daemon.json, ours alone: `{"enabled": true, "keep-free": "10%", "policy": "dangling", "min-age": "24h"}`.

use std::time::Duration;

use image::{Expendable, GcPolicy, KeepFree};
use serde_json::{Map, Value};

use super::{ConfigError, size};

/// The policy, if it is switched on. All of it is checked in any case.
pub(super) fn policy(gc: &Map<String, Value>) -> Result<Option<GcPolicy>, ConfigError> {
    let mut enabled = false;
    let mut policy = GcPolicy {
        keep_free: KeepFree::Percent(10),
        expendable: Expendable::Dangling,
        min_age: Duration::from_secs(24 * 3600),
    };
    for (key, value) in gc {
        let invalid = |why: &str| ConfigError::Value {
            option: "gc",
            value: format!("{key}: {value}"),
            why: why.to_owned(),
        };
        match (&**key, value) {
            ("enabled", Value::Bool(on)) => enabled = *on,
            ("keep-free", Value::String(text)) => {
                policy.keep_free = keep_free(text)
                    .ok_or_else(|| invalid("wanted is a size (20GB) or a part (10%)"))?;
            }
            ("policy", Value::String(text)) => {
                policy.expendable = match &**text {
                    "dangling" => Expendable::Dangling,
                    "unused" => Expendable::Unused,
                    _ => return Err(invalid("choose one of dangling, unused")),
                };
            }
            ("min-age", Value::String(text)) => {
                policy.min_age =
                    age(text).ok_or_else(|| invalid("wanted is a duration (90m, 24h)"))?;
            }
            ("enabled" | "keep-free" | "policy" | "min-age", _) => {
                return Err(invalid("the value has another type than wanted"));
            }
            _ => {
                return Err(invalid(
                    "there is no such key: enabled, keep-free, policy and min-age are",
                ));
            }
        }
    }
    Ok(enabled.then_some(policy))
}

fn keep_free(text: &str) -> Option<KeepFree> {
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent = percent.trim().parse().ok()?;
            (1..=99)
                .contains(&percent)
                .then_some(KeepFree::Percent(percent))
        }
        None => {
            let bytes = u64::try_from(size::bytes(text)?).ok()?;
            Some(KeepFree::Bytes(bytes))
        }
    }
}

fn age(text: &str) -> Option<Duration> {
    let span: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<Option<GcPolicy>, String> {
        policy(value.as_object().unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn it_is_off_unless_it_is_switched_on() {
        assert_eq!(read(&json!({})), Ok(None));
        assert_eq!(read(&json!({"keep-free": "5GB"})), Ok(None));
    }

    #[test]
    fn every_part_of_it_counts() {
        let gc =
            json!({"enabled": true, "keep-free": "2GiB", "policy": "unused", "min-age": "1h30m"});
        let expected = GcPolicy {
            keep_free: KeepFree::Bytes(2 << 30),
            expendable: Expendable::Unused,
            min_age: Duration::from_secs(5400),
        };
        assert_eq!(read(&gc), Ok(Some(expected)));
        let percent = read(&json!({"enabled": true, "keep-free": "20%"})).unwrap();
        assert_eq!(percent.unwrap().keep_free, KeepFree::Percent(20));
    }

    #[test]
    fn what_makes_no_sense_is_refused_even_when_it_is_off() {
        for gc in [
            json!({"keep-free": "100%"}),
            json!({"keep-free": "0%"}),
            json!({"keep-free": "x"}),
            json!({"keep-free": 5}),
            json!({"policy": "all"}),
            json!({"min-age": "-1h"}),
            json!({"min-age": "soon"}),
            json!({"enabled": "yes"}),
            json!({"keepfree": "5GB"}),
        ] {
            assert!(read(&gc).is_err(), "{gc}");
        }
    }
}
