//! The header of the PROXY protocol, with which a proxy begins a connection.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fanfare::fuzzing::proxy_header(input));
