//! A message that a client has compressed.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fanfare::fuzzing::inflated(input));
