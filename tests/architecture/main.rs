//! The order of the modules, as ARCHITECTURE.md and `src/lib.rs` state it: each imports only
//! those above it, and within a folder none leads back to itself. Tables of contents name all.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod contents;
mod siblings;

use std::fs;
use std::path::{Path, PathBuf};

/// Folders in and below which modules may lead back to each other.
const CIRCULAR: [&str; 3] = [
    "src/hub",
    "src/cluster",
    // A connection stands in a list, and knows which.
    "service/src/net",
];

/// The sources whose folders are looked at.
const CRATES: [&str; 4] = [
    "src",
    "service/src",
    "publisher/src",
    "conversation-api/src",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The modules in the order in which `src/lib.rs` lists them.
fn modules(src: &Path) -> Vec<String> {
    let lib = fs::read_to_string(src.join("lib.rs")).expect("src/lib.rs is read");
    lib.lines()
        .filter_map(|line| line.strip_prefix("pub mod "))
        .map(|rest| rest.trim_end_matches(';').to_owned())
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of src/ is listed") {
        let path = entry.expect("a folder of src/ is listed").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).expect("a folder of sources is listed") {
        let path = entry.expect("a folder of sources is listed").path();
        if path.is_dir() {
            all.extend(folders(&path));
        }
    }
    all
}

/// The modules that a source mentions as `crate::module`.
fn mentioned(source: &str) -> impl Iterator<Item = &str> {
    source.split("crate::").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
        Some(&rest[..end])
    })
}

#[test]
fn modules_import_only_those_above_them() {
    let src = root().join("src");
    let modules = modules(&src);
    let place = |name: &str| modules.iter().position(|module| module == name);
    let mut checked = 0;
    for file in sources(&src) {
        let relative = file.strip_prefix(&src).unwrap();
        let first = relative.components().next().unwrap().as_os_str();
        let own = Path::new(first).file_stem().unwrap().to_str().unwrap();
        let Some(own_place) = place(own) else {
            assert!(
                matches!(own, "lib" | "main"),
                "{own} is not listed in lib.rs"
            );
            continue;
        };
        let source = fs::read_to_string(&file).unwrap();
        for module in mentioned(&source) {
            if let Some(other) = place(module) {
                assert!(
                    other <= own_place,
                    "{}: {own} must not import {module}",
                    file.display()
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "only {checked} imports were found");
}

#[test]
fn the_architecture_document_describes_every_module() {
    let root = root();
    let document = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for module in modules(&root.join("src")) {
        assert!(
            document.contains(&format!("| `{module}")),
            "{module} is not described"
        );
    }
}

#[test]
fn no_module_of_a_folder_leads_back_to_itself() {
    let mut imports = 0;
    for source in CRATES {
        let source = root().join(source);
        for folder in folders(&source) {
            let graph = siblings::imports(&source, &folder);
            imports += graph.values().map(|imported| imported.len()).sum::<usize>();
            let name = folder.strip_prefix(root()).unwrap().to_str().unwrap();
            if !CIRCULAR.iter().any(|circular| name.starts_with(circular)) {
                assert_eq!(siblings::in_circles(&graph), [""; 0], "{name}: {graph:#?}");
            }
        }
    }
    assert!(imports > 200, "only {imports} imports were found");
}

#[test]
fn tables_of_contents_are_complete() {
    let mut tables = 0;
    for source in CRATES {
        for file in sources(&root().join(source)) {
            // A crate's is for those who use it.
            if file.ends_with("lib.rs") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            if let Some(missing) = contents::missing(&text) {
                assert_eq!(missing, [""; 0], "{}", file.display());
                tables += 1;
            }
        }
    }
    assert!(tables > 20, "only {tables} tables were found");
}
