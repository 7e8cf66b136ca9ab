//! What other nodes wrote to Redis.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fanfare::fuzzing::redis_entry(input));
