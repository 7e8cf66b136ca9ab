//! The order of the modules, as ARCHITECTURE.md and `src/lib.rs` state it: each imports only
//! those above it, and within a folder none leads back to itself. Tables of contents name all, and
//! what is public is documented.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod contents;
mod documented;
mod fields;
mod imports;
mod mutants;
mod siblings;

use std::fs;
use std::path::{Path, PathBuf};

use imports::File;

/// The other crates' sources whose folders are looked at.
const OTHER_CRATES: [&str; 3] = ["service/src", "publisher/src", "conversation-api/src"];

/// Its modules lead back to each other: a connection stands in a list, and knows which.
const CIRCULAR: &str = "service/src/net";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn src() -> PathBuf {
    root().join("src")
}

/// All files and folders in and below a folder, itself among them.
fn below(folder: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    for entry in fs::read_dir(folder).expect("a folder of sources is listed") {
        let path = entry.expect("a folder of sources is listed").path();
        if path.is_dir() {
            let (more_files, more_folders) = below(&path);
            files.extend(more_files);
            folders.extend(more_folders);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    (files, folders)
}

/// The modules of a folder in the order in which its file lists them.
fn modules(list: &Path) -> Vec<String> {
    let list = fs::read_to_string(list).expect("a list of modules is read");
    list.lines()
        .filter_map(|line| {
            let line = line
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ");
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
    for machine in ["cluster/redis/channel", "cluster/redis/node"] {
        let checked = check_order(&files, machine, "mod.rs");
        assert!(checked > 30, "only {checked} imports in {machine}");
    }
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let files = imports::of(&src());
    let circles = imports::circles(&files);
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn no_struct_of_the_cluster_has_many_fields() {
    const MOST: usize = 15;
    let mut structs = 0;
    for file in below(&src().join("cluster")).0 {
        let text = fs::read_to_string(&file).unwrap();
        for (name, fields) in fields::of(&text) {
            assert!(fields <= MOST, "{}: {name} has {fields}", file.display());
            structs += 1;
        }
    }
    assert!(structs > 50, "only {structs} structs were found");
}

#[test]
fn the_architecture_document_describes_every_module() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for module in modules(&root().join("src/lib.rs")) {
        assert!(
            document.contains(&format!("| `{module}")),
            "{module} is not described"
        );
    }
}

#[test]
fn the_architecture_document_names_files_that_there_are() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let words = document.split('`').skip(1).step_by(2);
    let paths = words.filter(|word| word.starts_with("src/"));
    let mut checked = 0;
    for path in paths {
        assert!(root().join(path).exists(), "{path}");
        checked += 1;
    }
    assert!(checked > 10, "only {checked} paths were found");
}

#[test]
fn no_module_of_a_folder_leads_back_to_itself() {
    let mut imports = 0;
    for source in OTHER_CRATES {
        let source = root().join(source);
        for folder in below(&source).1 {
            let graph = siblings::imports(&source, &folder);
            imports += graph.values().map(|imported| imported.len()).sum::<usize>();
            if !folder.starts_with(root().join(CIRCULAR)) {
                let circles = siblings::in_circles(&graph);
                assert_eq!(circles, [""; 0], "{}: {graph:#?}", folder.display());
            }
        }
    }
    assert!(imports > 50, "only {imports} imports were found");
}

#[test]
fn tables_of_contents_are_complete() {
    let mut tables = 0;
    for source in ["src"].into_iter().chain(OTHER_CRATES) {
        for file in below(&root().join(source)).0 {
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

#[test]
fn what_is_public_is_documented() {
    for file in below(&src()).0 {
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(documented::missing(&text), [""; 0], "{}", file.display());
    }
}

#[test]
fn mistakes_made_on_purpose_can_be_made() {
    let mut parts = 0;
    for entry in fs::read_dir(root().join("tests/mutants")).unwrap() {
        let patch = entry.unwrap().path();
        for (file, lines) in mutants::expected(&fs::read_to_string(&patch).unwrap()) {
            let source = fs::read_to_string(root().join(&file)).unwrap();
            assert!(source.contains(&lines), "{} in {file}", patch.display());
            parts += 1;
        }
    }
    assert!(parts > 12, "only {parts} parts were found");
}
