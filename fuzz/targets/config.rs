//! The configuration file, and the environment over it: the first line of the input is the value of a variable, the
//! rest is the file.

#![no_main]

mod memory_file;

use std::collections::BTreeMap;

use fanfare::fuzzing::{Sources, load_config};
use libfuzzer_sys::fuzz_target;
use memory_file::MemoryFile;

fuzz_target!(|text: &str| {
    let (variable, file) = text.split_once('\n').unwrap_or(("", text));
    let file = MemoryFile::holding(file.as_bytes());
    let environment = match variable.split_once('=') {
        Some((name, value)) => BTreeMap::from([(name.to_owned(), value.to_owned())]),
        None => BTreeMap::new(),
    };
    let sources = Sources {
        config_file: Some(file.path().to_owned()),
        environment,
        ..Sources::default()
    };
    match load_config(&sources) {
        Ok(loaded) => {
            // The development app comes from nowhere.
            let given = loaded.config.apps.iter().len() - usize::from(loaded.config.development);
            assert_eq!(loaded.app_origins.len(), given);
            for app in loaded.config.apps.iter() {
                assert!(!app.id.is_empty());
                assert!(app.limits.http_body_bytes >= app.limits.full_batch_bytes());
            }
        }
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
        }
    }
});
