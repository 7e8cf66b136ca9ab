//! What clients offer in Sec-WebSocket-Extensions, each line a header.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fanfare::fuzzing::extensions(input));
