//! What Laravel publishes to Redis.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fanfare::fuzzing::laravel_message(input));
