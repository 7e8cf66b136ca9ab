//! What a connection receives, whole and in pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fanfare::fuzzing::frames(input));
