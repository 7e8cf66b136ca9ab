//! The list of its modules in a module's documentation.

/// The modules that a source declares and whose documentation leaves out, neither by their name
/// nor by that of something that is used from them; None where there is no list.
pub(crate) fn missing(source: &str) -> Option<Vec<&str>> {
    let lines = source.lines();
    let list: Vec<&str> = lines.filter(|line| line.starts_with("//! ")).collect();
    if !list.iter().any(|line| line.starts_with("//! - [`")) {
        return None;
    }
    let is_listed = |name: &str| {
        list.iter().any(|line| {
            line.contains(&format!("[`{name}`]")) || line.contains(&format!("[`mod@{name}`]"))
        })
    };
    let declared = source.lines().filter_map(declared);
    let missing = declared.filter(|module| {
        !matches!(*module, "tests" | "testing" | "simulation" | "fuzzing")
            && !is_listed(module)
            && !exports(source, module).any(&is_listed)
    });
    Some(missing.collect())
}

fn declared(line: &str) -> Option<&str> {
    let line = line.strip_suffix(';')?;
    let (visibility, module) = line.split_once("mod ")?;
    (visibility.is_empty() || visibility.starts_with("pub")).then_some(module)
}

/// The names that `pub use module::…` makes public.
fn exports<'s>(source: &'s str, module: &str) -> impl Iterator<Item = &'s str> {
    let start = format!("pub use {module}::");
    let used = source.find(&start).map(|at| &source[at + start.len()..]);
    let used = used
        .and_then(|rest| rest.split(';').next())
        .unwrap_or_default();
    let words = used.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| !word.is_empty())
}
