//! Which modules of a folder import which others of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Each module with those that it imports.
pub(crate) type Imports = BTreeMap<String, BTreeSet<String>>;

/// The imports among the modules of a folder below `src`.
pub(crate) fn imports(src: &Path, folder: &Path) -> Imports {
    let mut imports = Imports::new();
    for entry in fs::read_dir(folder).expect("a folder of sources is listed") {
        let path = entry.expect("a folder of sources is listed").path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let files = if path.is_dir() {
            super::below(&path).0
        } else {
            vec![path.clone()]
        };
        if matches!(name, "mod" | "lib" | "main") {
            continue;
        }
        let all = imports.entry(name.to_owned()).or_default();
        for file in files {
            let source = fs::read_to_string(&file).unwrap();
            for prefix in [absolute(src, folder), relative(folder, &file)] {
                all.extend(named_after(&source, &prefix));
            }
        }
        all.remove(name);
    }
    let modules: BTreeSet<String> = imports.keys().cloned().collect();
    for imported in imports.values_mut() {
        imported.retain(|name| modules.contains(name));
    }
    imports
}

/// `crate::a::b::`, for the folder a/b.
fn absolute(src: &Path, folder: &Path) -> String {
    let below = folder.strip_prefix(src).unwrap();
    let parts = below.iter().map(|part| part.to_str().unwrap());
    ["crate"]
        .into_iter()
        .chain(parts)
        .map(|part| format!("{part}::"))
        .collect()
}

/// `super::`, as often as it leads from a file to the folder's modules.
fn relative(folder: &Path, file: &Path) -> String {
    let below = file.strip_prefix(folder).unwrap();
    let is_folder = below.ends_with("mod.rs");
    "super::".repeat(below.iter().count() - usize::from(is_folder))
}

/// The names that follow the prefix, alone or in braces.
fn named_after(source: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in source.match_indices(prefix) {
        let before = source[..at].chars().next_back().unwrap_or(' ');
        // Another path that ends like this one.
        if before == ':' || before.is_alphanumeric() || before == '_' {
            continue;
        }
        let rest = &source[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(in_group(group)),
            None => names.extend(first_word(rest)),
        }
    }
    names
}

/// The first words of `a, b::{c, d}, e}`.
fn in_group(group: &str) -> Vec<String> {
    let (mut depth, mut words, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                words.extend(first_word(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    words
}

fn first_word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    let word = &text[..end.unwrap_or(text.len())];
    (!word.is_empty()).then(|| word.to_owned())
}

/// The modules from which imports lead back to themselves.
pub(crate) fn in_circles(imports: &Imports) -> Vec<&str> {
    let leads_back = |module: &str| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![module]);
        while let Some(from) = next.pop() {
            let new = imports[from]
                .iter()
                .filter(|to| reached.insert(to.as_str()));
            next.extend(new.map(String::as_str).collect::<Vec<_>>());
        }
        reached.contains(module)
    };
    let modules = imports.keys().map(String::as_str);
    modules.filter(|module| leads_back(module)).collect()
}
