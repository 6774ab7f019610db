//! What a container may do to block devices: `--blkio-weight-device PATH:WEIGHT`, `--device-read-bps PATH:SIZE`,
//! `--device-read-iops PATH:NUMBER`.

use api::types::host_config::{ThrottleDevice, WeightDevice};

use super::size;

/// Whether it is a weight, as pflag has numbers of 16 bits.
pub(crate) fn check_weight(text: &str) -> Result<(), String> {
    if text.parse::<u16>().is_ok() {
        return Ok(());
    }
    let numeric = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let reason = if numeric {
        "value out of range"
    } else {
        "invalid syntax"
    };
    Err(format!("strconv.ParseUint: parsing {text:?}: {reason}"))
}

/// Reads a device's weight.
pub(crate) fn weight(text: &str) -> Result<WeightDevice, String> {
    let (path, weight) = split(text)?;
    let weight = weight
        .parse()
        .ok()
        .filter(|weight| matches!(weight, 0 | 10..=1000))
        .ok_or_else(|| format!("invalid weight for device: {text}"))?;
    Ok(WeightDevice {
        path: path.to_owned(),
        weight,
    })
}

/// Reads a limit of bytes a second.
pub(crate) fn bytes(text: &str) -> Result<ThrottleDevice, String> {
    let (path, rate) = split(text)?;
    let rate = size::bytes(rate)
        .ok()
        .and_then(|rate| u64::try_from(rate).ok());
    Ok(ThrottleDevice {
        path: path.to_owned(),
        rate: rate.ok_or_else(|| {
            format!("invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb")
        })?,
    })
}

/// Reads a limit of operations a second.
pub(crate) fn operations(text: &str) -> Result<ThrottleDevice, String> {
    let (path, rate) = split(text)?;
    let rate = rate.parse().map_err(|_| {
        format!("invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer")
    })?;
    Ok(ThrottleDevice {
        path: path.to_owned(),
        rate,
    })
}

/// The device's path and what is said of it.
fn split(text: &str) -> Result<(&str, &str), String> {
    match text.split_once(':') {
        None | Some(("", _)) => Err(format!("bad format: {text}")),
        Some((path, _)) if !path.starts_with("/dev/") => {
            Err(format!("bad format for device path: {text}"))
        }
        Some(parts) => Ok(parts),
    }
}

/// Whether it is a device's weight.
pub(crate) fn check_weight_device(text: &str) -> Result<(), String> {
    weight(text).map(drop)
}

/// Whether it is a limit of bytes a second.
pub(crate) fn check_bytes(text: &str) -> Result<(), String> {
    bytes(text).map(drop)
}

/// Whether it is a limit of operations a second.
pub(crate) fn check_operations(text: &str) -> Result<(), String> {
    operations(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_docker_reads_them() {
        let rate = |read: Result<ThrottleDevice, String>| read.map(|limit| limit.rate);
        assert_eq!(rate(bytes("/dev/a:1mb")), Ok(1 << 20));
        assert_eq!(rate(operations("/dev/a:5")), Ok(5));
        assert_eq!(bytes("x"), Err("bad format: x".to_owned()));
        assert_eq!(
            bytes("x:1"),
            Err("bad format for device path: x:1".to_owned())
        );
        for wrong in ["/dev/a:", "/dev/a:z", "/dev/a:-3"] {
            assert!(
                bytes(wrong).is_err() && operations(wrong).is_err(),
                "{wrong}"
            );
        }
        assert!(operations("/dev/a:1m").is_err());
    }

    #[test]
    fn weights_have_a_range() {
        assert_eq!(weight("/dev/a:100").map(|device| device.weight), Ok(100));
        assert_eq!(weight("/dev/a:0").map(|device| device.weight), Ok(0));
        for wrong in ["/dev/a:5", "/dev/a:1001", "/dev/a:y"] {
            assert_eq!(
                weight(wrong),
                Err(format!("invalid weight for device: {wrong}"))
            );
        }
        assert_eq!(check_weight("1000"), Ok(()));
        assert_eq!(
            check_weight("70000"),
            Err("strconv.ParseUint: parsing \"70000\": value out of range".to_owned())
        );
    }
}
