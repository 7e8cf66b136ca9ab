//! Chance that can be repeated, and sizes that the environment may change.

use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers that follow from a seed (xorshift).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// From PROTOCOL_TESTS_SEED, or from one that is written down for a test that fails.
    pub fn from_environment() -> Random {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = since.expect("it is later than 1970").subsec_nanos();
        let seed = number_from("PROTOCOL_TESTS_SEED", nanos as usize);
        eprintln!("PROTOCOL_TESTS_SEED={seed}");
        Random::new(seed as u64)
    }

    /// From this seed.
    pub fn new(seed: u64) -> Random {
        // Zero would stay zero.
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }
}

/// The number that a variable of the environment holds, or else `default`.
pub fn number_from(variable: &str, default: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is {text:?}, not a number")),
        Err(_) => default,
    }
}
