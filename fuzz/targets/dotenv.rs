//! A project's `.env` file.

#![no_main]

mod memory_file;

use std::collections::BTreeMap;

use fanfare::fuzzing::EnvFile;
use libfuzzer_sys::{Corpus, fuzz_target};
use memory_file::MemoryFile;

/// References in one file. Each may double what it refers to, which is the file's own affair.
const MOST_REFERENCES: usize = 8;

fuzz_target!(|text: &str| -> Corpus {
    if text.matches("${").count() > MOST_REFERENCES {
        return Corpus::Reject;
    }
    let file = MemoryFile::holding(text.as_bytes());
    let environment = BTreeMap::from([("HOME".to_owned(), "/home/app".to_owned())]);
    let read = EnvFile::read(file.path(), &environment).expect("the file can be read");
    for name in [
        "PUSHER_APP_ID",
        "PUSHER_APP_KEY",
        "PUSHER_APP_SECRET",
        "A",
        "",
    ] {
        match read.get(name) {
            Ok(Some(value)) => assert!(!value.is_empty()),
            Ok(None) => {}
            Err(error) => {
                let line = error.to_string();
                assert!(!line.contains('\n'), "{line:?}");
                assert!(line.contains(name), "{line:?}");
            }
        }
    }
    Corpus::Keep
});
