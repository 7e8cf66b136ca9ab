//! Bodies of what clients of the HTTP fallback send.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fanfare::fuzzing::fallback_body(input));
