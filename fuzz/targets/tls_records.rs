//! What a connection receives over TLS, beside what rustls makes of it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fanfare::fuzzing::tls_records(input));
