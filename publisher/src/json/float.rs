//! Numbers with a fraction.

use std::fmt::Write as _;

/// Digits in front of the point from which on PHP writes an exponent.
const MOST_DIGITS: i32 = 17;
/// Zeros behind the point from which on it does.
const MOST_ZEROS: i32 = 4;

/// Writes a number as PHP does with `serialize_precision = -1`, its default since 7.1: the fewest
/// digits that read back as the same number, no fraction where there is none, and `1.0e+25`.
pub(super) fn write_float(text: &mut String, number: f64) {
    // Rust's exponent form has the fewest digits: "-1.25e-7".
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        // Infinite or no number; JSON has neither, and no parser of it makes one.
        text.push('0');
        return;
    };
    let exponent: i32 = exponent
        .parse()
        .expect("Rust writes the exponent as a number");
    let written = if (-MOST_ZEROS..MOST_DIGITS).contains(&exponent) {
        write!(text, "{number}")
    } else {
        let fraction = if digits.contains('.') { "" } else { ".0" };
        write!(text, "{digits}{fraction}e{exponent:+}")
    };
    written.expect("writing to a String cannot fail");
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
        ] {
            let mut text = String::new();
            write_float(&mut text, number);
            assert_eq!(text, written);
        }
    }
}
