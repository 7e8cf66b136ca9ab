//! What the files of `src/` import from one another, read from their text.
//!
//! Tests are left out, as they may import whatever they test with, and so is `main.rs`, which is
//! another crate. A re-export is no import: whoever
//! imports by way of it is taken to import the file that the thing stands in.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A path from the crate's root; empty for the root itself.
type ModulePath = Vec<String>;

/// A file of `src/`, and the files that it imports, relative to `src/`.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) imports: Vec<PathBuf>,
}

/// A file's text, taken apart.
struct Source {
    path: PathBuf,
    /// What it mentions, as written: in its `use` declarations, and in between.
    mentions: Vec<ModulePath>,
    /// Names that it re-exports, and what they stand for.
    reexports: HashMap<String, ModulePath>,
}

/// All files of the folder, in the order of their names.
pub(crate) fn of(src: &Path) -> Vec<File> {
    of_texts(files(src).into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a source is read");
        let path = path.strip_prefix(src).expect("it is in src").to_owned();
        (path, text)
    }))
}

fn of_texts(texts: impl Iterator<Item = (PathBuf, String)>) -> Vec<File> {
    let sources: HashMap<ModulePath, Source> = texts
        .filter(|(path, _)| !is_test(path) && path != Path::new("main.rs"))
        .map(|(path, text)| (module_of(&path), Source::read(path, &text)))
        .collect();
    let mut files: Vec<File> = sources
        .iter()
        .map(|(module, source)| {
            let targets = source.mentions.iter();
            let targets = targets.filter_map(|path| resolve(&sources, module, path, 0));
            let mut imports: Vec<PathBuf> = targets
                .map(|target| sources[&target].path.clone())
                .filter(|path| *path != source.path)
                .collect();
            imports.sort();
            imports.dedup();
            let path = source.path.clone();
            File { path, imports }
        })
        .collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// Files that import one another, in a circle or several that touch.
pub(crate) fn circles(files: &[File]) -> Vec<Vec<PathBuf>> {
    let index: HashMap<&Path, usize> = files.iter().map(|file| &*file.path).zip(0..).collect();
    let reachable: Vec<Vec<bool>> = (0..files.len())
        .map(|start| {
            let mut seen = vec![false; files.len()];
            let mut left = vec![start];
            while let Some(from) = left.pop() {
                for import in &files[from].imports {
                    let to = index[&**import];
                    if !std::mem::replace(&mut seen[to], true) {
                        left.push(to);
                    }
                }
            }
            seen
        })
        .collect();
    let mut circles: Vec<Vec<PathBuf>> = Vec::new();
    for (one, from_one) in reachable.iter().enumerate() {
        let circle = (0..files.len()).filter(|&other| from_one[other] && reachable[other][one]);
        let circle: Vec<PathBuf> = circle.map(|other| files[other].path.clone()).collect();
        if !circle.is_empty() && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of src/ is listed") {
        let path = entry.expect("a folder of src/ is listed").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

fn is_test(path: &Path) -> bool {
    path.components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

fn module_of(path: &Path) -> ModulePath {
    let mut module: ModulePath = path
        .with_extension("")
        .iter()
        .map(|part| part.to_str().expect("names are plain").to_owned())
        .collect();
    if matches!(&*module[module.len() - 1], "mod" | "lib") {
        module.pop();
    }
    module
}

/// The module in which that stands which `path` means in `module`; None if it is of another crate.
fn resolve(
    sources: &HashMap<ModulePath, Source>,
    module: &[String],
    path: &[String],
    depth: usize,
) -> Option<ModulePath> {
    let mut rest = path;
    let mut at: ModulePath = match &*path[0] {
        "crate" => Vec::new(),
        _ => module.to_vec(),
    };
    match &*path[0] {
        "crate" | "self" => rest = &rest[1..],
        "super" => {}
        child => {
            let is_module = sources.contains_key(&[module, &[child.to_owned()]].concat());
            if !is_module {
                return None;
            }
        }
    }
    while rest.first().is_some_and(|part| part == "super") {
        at.pop();
        rest = &rest[1..];
    }
    while let Some(next) = rest.first() {
        let inner = [&*at, std::slice::from_ref(next)].concat();
        if !sources.contains_key(&inner) {
            break;
        }
        at = inner;
        rest = &rest[1..];
    }
    let name = rest.first();
    let reexported = name.and_then(|name| sources[&at].reexports.get(name));
    match reexported {
        Some(path) if depth < 16 => resolve(sources, &at, path, depth + 1),
        _ => Some(at),
    }
}

impl Source {
    fn read(path: PathBuf, text: &str) -> Self {
        let text = without_comments_and_tests(text);
        let (mut declared, mut between) = (Vec::new(), String::new());
        let mut rest = &*text;
        while let Some((before, declaration, after)) = next_use(rest) {
            between.push_str(before);
            declared.push(declaration);
            rest = after;
        }
        between.push_str(rest);
        let mut mentions = written_out(&between);
        let mut reexports = HashMap::new();
        for declaration in declared {
            let (visibility, tree) = declaration
                .split_once("use ")
                .expect("a use declaration begins so");
            for (path, name) in expand(tree) {
                let is_reexport = visibility.starts_with("pub");
                // What a file re-exports and uses itself it imports.
                if !is_reexport || words(&between).any(|word| word == name) {
                    mentions.push(path.clone());
                }
                if is_reexport {
                    reexports.insert(name, path);
                }
            }
        }
        Self {
            path,
            mentions,
            reexports,
        }
    }
}

/// The text up to its tests, without comments.
fn without_comments_and_tests(text: &str) -> String {
    let mut modules = text.match_indices("#[cfg(test)]\nmod ");
    // Of one that stands in a file of its own there is but a name, and more code behind it.
    let is_here = |at: usize| {
        text[at..]
            .lines()
            .nth(1)
            .is_some_and(|line| line.ends_with('{'))
    };
    let tests = modules.find(|(at, _)| is_here(*at));
    let end = tests.map_or(text.len(), |(at, _)| at);
    let lines = text[..end].lines();
    let code = lines.map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    code.flat_map(|line| [line, "\n"]).collect()
}

/// What stands before the next `use` declaration, the declaration, and what stands behind it.
fn next_use(text: &str) -> Option<(&str, &str, &str)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_start();
        let visibility_ends = if code.starts_with("pub(") {
            code.find(") ").map_or(0, |end| end + 2)
        } else {
            code.strip_prefix("pub ").map_or(0, |_| 4)
        };
        if code[visibility_ends..].starts_with("use ") {
            let start = start + (line.len() - code.len());
            let end = start + text[start..].find(';').expect("a use declaration ends");
            return Some((&text[..start], &text[start..end], &text[end + 1..]));
        }
        start += line.len();
    }
    None
}

/// The paths of a tree of `use`, each with the name that it is given.
fn expand(tree: &str) -> Vec<(ModulePath, String)> {
    let tree = tree.trim();
    if let Some((base, inner)) = tree.split_once('{') {
        let inner = inner.strip_suffix('}').expect("a group is closed");
        let base: ModulePath = segments(base.trim_end_matches("::"));
        return split_list(inner)
            .into_iter()
            .flat_map(expand)
            .map(|(path, name)| match &*path[0] {
                "self" => (base.clone(), base[base.len() - 1].clone()),
                _ => ([&*base, &path].concat(), name),
            })
            .collect();
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim().to_owned())),
        None => (tree, None),
    };
    let path = segments(path);
    let name = alias.unwrap_or_else(|| path[path.len() - 1].clone());
    vec![(path, name)]
}

fn segments(path: &str) -> ModulePath {
    let parts = path.split("::").map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Splits at the commas that stand in no group.
fn split_list(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !(character.is_alphanumeric() || character == '_'))
}

/// The paths that are written out in code, and not declared.
fn written_out(code: &str) -> Vec<ModulePath> {
    let is_of_path = |character: char| character.is_alphanumeric() || "_:".contains(character);
    // Who may see an item is no import.
    let code = code.replace("pub(in crate::", "pub(in ");
    code.split(|character| !is_of_path(character))
        .filter(|word| word.contains("::"))
        .map(segments)
        .filter(|path| matches!(path.first().map_or("", |first| first), "crate" | "super"))
        .collect()
}

#[test]
fn imports_are_found_in_every_form() {
    let file = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
    let texts = [
        file("lib.rs", "pub mod a;\npub mod b;\n"),
        file(
            "a/mod.rs",
            "mod c;\npub mod d;\n#[cfg(test)]\nmod tests;\npub use c::C;\npub(crate) use d::D;\nstruct Own(D);\n",
        ),
        file(
            "a/c.rs",
            "use super::d;\n\n/// Not crate::b.\npub(in crate::b) struct C;\n",
        ),
        file(
            "a/d.rs",
            "use std::fmt;\n\n#[cfg(test)]\nmod tests {\n    use super::C;\n}\n",
        ),
        file("a/tests.rs", "use crate::b::B;\n"),
        file(
            "b.rs",
            "use crate::a::{\n    C as Renamed, d::{self, Inner},\n};\nstruct Own(super::a::Own);\n",
        ),
        file("main.rs", "fn main() {\n    crate::b::run();\n}\n"),
    ];
    let files = of_texts(texts.into_iter());
    let imports: Vec<(&str, Vec<&str>)> = files
        .iter()
        .map(|file| {
            let imports = file.imports.iter().map(|path| path.to_str().unwrap());
            (file.path.to_str().unwrap(), imports.collect())
        })
        .collect();
    assert_eq!(
        imports,
        [
            ("a/c.rs", vec!["a/d.rs"]),
            ("a/d.rs", vec![]),
            ("a/mod.rs", vec!["a/d.rs"]),
            ("b.rs", vec!["a/c.rs", "a/d.rs", "a/mod.rs"]),
            ("lib.rs", vec![]),
        ]
    );
    assert!(circles(&files).is_empty());
}

#[test]
fn circles_are_found() {
    let texts = [("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")].map(|(own, other)| {
        let text = format!("use crate::{other}::X;\n");
        (PathBuf::from(format!("{own}.rs")), text)
    });
    let files = of_texts(texts.into_iter());
    let circle = vec![PathBuf::from("b.rs"), PathBuf::from("c.rs")];
    assert_eq!(circles(&files), [circle]);
}
