//! What proxies write about those for whom they ask, each line a header.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fanfare::fuzzing::forwarded(input));
