//! The order of the modules, as ARCHITECTURE.md and `src/lib.rs` state it: each imports only
//! those above it.

mod imports;

use std::fs;
use std::path::{Path, PathBuf};

use imports::File;

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules of a folder in the order in which its file lists them.
fn modules(list: &Path) -> Vec<String> {
    let list = fs::read_to_string(list).expect("a list of modules is read");
    list.lines()
        .filter_map(|line| {
            let line = line.strip_prefix("pub ").unwrap_or(line);
            line.strip_prefix("mod ")?.strip_suffix(';')
        })
        .map(str::to_owned)
        .collect()
}

/// The module of `folder` that a file belongs to; None for those outside, and the folder's own.
fn module_in(folder: &Path, file: &Path) -> Option<String> {
    let first = file.strip_prefix(folder).ok()?.components().next()?;
    let name = Path::new(first.as_os_str()).file_stem()?.to_str()?;
    (!matches!(name, "mod" | "lib" | "main")).then(|| name.to_owned())
}

/// Holds the modules of a folder to the order in which its file lists them. Returns how many
/// imports were looked at.
fn check_order(files: &[File], folder: &str, list: &str) -> usize {
    let folder = Path::new(folder);
    let modules = modules(&src().join(folder).join(list));
    let place = |name: &str| {
        let place = modules.iter().position(|module| module == name);
        place.unwrap_or_else(|| panic!("{name} is not listed in {}", folder.join(list).display()))
    };
    let mut checked = 0;
    for file in files {
        let Some(own) = module_in(folder, &file.path) else {
            continue;
        };
        for import in &file.imports {
            if let Some(other) = module_in(folder, import) {
                assert!(
                    place(&other) <= place(&own),
                    "{}: {own} must not import {other}",
                    file.path.display()
                );
                checked += 1;
            }
        }
    }
    checked
}

#[test]
fn modules_import_only_those_above_them() {
    let files = imports::of(&src());
    let checked = check_order(&files, "", "lib.rs");
    assert!(checked > 500, "only {checked} imports were found");
    let checked = check_order(&files, "hub", "mod.rs");
    assert!(checked > 50, "only {checked} imports were found in hub");
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let files = imports::of(&src());
    // One state machine spread over several files.
    let is_let_off = |path: &Path| path.starts_with("cluster/redis");
    let circles = imports::circles(&files, |from, to| !(is_let_off(from) && is_let_off(to)));
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn the_architecture_document_describes_every_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for module in modules(&root.join("src/lib.rs")) {
        assert!(
            document.contains(&format!("| `{module}")),
            "{module} is not described"
        );
    }
}
