//! A connection's session as a whole: messages, answers and time.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fanfare::fuzzing::session(input));
