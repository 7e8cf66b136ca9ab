//! Numbers with a fraction.

use std::fmt::Write as _;

/// Digits in front of the point from which on PHP writes an exponent.
const MOST_DIGITS: i32 = 17;
/// Zeros behind the point from which on it does.
const MOST_ZEROS: i32 = 4;

/// Writes a number as PHP does with `serialize_precision = -1`, its default since 7.1: the fewest
/// digits that read back as the same number, no fraction where there is none, and `1.0e+25`.
pub(super) fn write_float(text: &mut String, number: f64) {
    let (digits, exponent) = shortest(number.abs());
    if number.is_sign_negative() {
        text.push('-');
    }
    let written = if (-MOST_ZEROS..MOST_DIGITS).contains(&exponent) {
        write_plain(text, &digits, exponent)
    } else {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        write!(text, "{first}.{rest}e{exponent:+}")
    };
    written.expect("writing to a String cannot fail");
}

/// Without an exponent: with zeros in front, in the middle or behind.
fn write_plain(text: &mut String, digits: &str, exponent: i32) -> std::fmt::Result {
    // How many of the digits are in front of the point.
    match usize::try_from(exponent + 1) {
        Err(_) | Ok(0) => {
            let zeros = exponent.unsigned_abs() as usize - 1;
            write!(text, "0.{:0>zeros$}{digits}", "")
        }
        Ok(point) if point < digits.len() => {
            let (whole, fraction) = digits.split_at(point);
            write!(text, "{whole}.{fraction}")
        }
        Ok(point) => write!(text, "{digits:0<point$}"),
    }
}

/// The digits of a number that is not negative, and the power of ten of the first of them.
///
/// They are those that serde_json writes: where two texts of the same length are as near to the
/// number, it takes the even one, as PHP does and the formatting of Rust itself does not.
fn shortest(number: f64) -> (String, i32) {
    // Infinity and no number are null, and 0 here; no parser of JSON makes either.
    let text = serde_json::Value::from(number).to_string();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    let digits = all.trim_start_matches('0');
    let zeros = (all.len() - digits.len()) as i32;
    match digits.trim_end_matches('0') {
        digits if digits.bytes().any(|byte| byte.is_ascii_digit()) => {
            let shift: i32 = exponent.parse().unwrap_or_default();
            (digits.to_owned(), whole.len() as i32 - 1 - zeros + shift)
        }
        _ => ("0".to_owned(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_php_8_2_writes_them() {
        for (number, written) in [
            (1.0, "1"),
            (0.1, "0.1"),
            (-0.0, "-0"),
            (-1.5, "-1.5"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (1e17, "1.0e+17"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (1e25, "1.0e+25"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1.0e-5"),
            (0.000012345, "1.2345e-5"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5.0e-324"),
            (123.456, "123.456"),
            (1_888_570_120_608_320.3, "1888570120608320.2"),
            (1200.0, "1200"),
            (0.25, "0.25"),
            (1e16 + 2.0, "10000000000000002"),
        ] {
            let mut text = String::new();
            write_float(&mut text, number);
            assert_eq!(text, written);
        }
    }
}
