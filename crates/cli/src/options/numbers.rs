//! `--cpus` and other numbers.

/// Billionths of a CPU from `1.5` or `3/2` (Go's `big.Rat`).
pub(crate) fn nano_cpus(text: &str) -> Result<i64, String> {
    let refused = || format!("failed to parse {text} as a rational number");
    let (number, divisor) = text.split_once('/').unwrap_or((text, "1"));
    let divisor: i128 = divisor
        .parse()
        .ok()
        .filter(|divisor| *divisor > 0)
        .ok_or_else(refused)?;
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let exponent: i32 = exponent
        .parse()
        .ok()
        .filter(|exponent: &i32| exponent.abs() < 20)
        .ok_or_else(refused)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let negative = whole.starts_with('-');
    let digits = format!("{}{fraction}", whole.trim_start_matches(['-', '+']));
    if digits.is_empty() || digits.len() > 18 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused());
    }
    let digits: i128 = digits.parse().map_err(|_| refused())?;
    let shift = 9 + exponent - i32::try_from(fraction.len()).unwrap_or(i32::MAX);
    let too_precise = || "value is too precise".to_owned();
    let (top, bottom) = if shift >= 0 {
        (
            digits.checked_mul(power(shift)?).ok_or_else(refused)?,
            divisor,
        )
    } else {
        (digits, divisor * power(-shift)?)
    };
    if top % bottom != 0 {
        return Err(too_precise());
    }
    let nanos = i64::try_from(top / bottom).map_err(|_| refused())?;
    Ok(if negative { -nanos } else { nanos })
}

fn power(exponent: i32) -> Result<i128, String> {
    u32::try_from(exponent)
        .ok()
        .and_then(|exponent| 10_i128.checked_pow(exponent))
        .ok_or_else(|| "value is too precise".to_owned())
}

/// Whether it is a number of CPUs.
pub(crate) fn check_cpus(text: &str) -> Result<(), String> {
    nano_cpus(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_rational_numbers() {
        let check = |text: &str, expected: Result<i64, &str>| {
            assert_eq!(nano_cpus(text), expected.map_err(str::to_owned), "{text:?}");
        };
        check("1", Ok(1_000_000_000));
        check("1.5", Ok(1_500_000_000));
        check(".5", Ok(500_000_000));
        check("3/2", Ok(1_500_000_000));
        check("1e-3", Ok(1_000_000));
        check("-1", Ok(-1_000_000_000));
        check("x", Err("failed to parse x as a rational number"));
        check("", Err("failed to parse  as a rational number"));
        check("1/0", Err("failed to parse 1/0 as a rational number"));
        check("1/3", Err("value is too precise"));
        check("0.0000000001", Err("value is too precise"));
    }
}
