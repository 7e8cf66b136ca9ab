//! What is public has a documentation comment. The compiler asks for one only where other crates
//! can see it, and they see little of the relay.

/// What is being read, by how far its lines are indented.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Module,
    Enum { indent: usize },
    Trait { indent: usize },
}

/// The lines of a source that begin a public item, field, variant or method of a trait, and have
/// no documentation. Modules have theirs at the head of their files.
pub(crate) fn missing(source: &str) -> Vec<&str> {
    let lines: Vec<&str> = source.lines().collect();
    let mut missing = Vec::new();
    let mut inside = Inside::Module;
    for (number, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if let Inside::Enum { indent: outer } | Inside::Trait { indent: outer } = inside
            && indent == outer
            && code == "}"
        {
            inside = Inside::Module;
        }
        if line.starts_with("mod tests {") {
            break;
        }
        if is_public(code, indent, inside) && !is_documented(&lines[..number]) {
            missing.push(code);
        }
        if code.starts_with("pub enum ") && code.ends_with('{') {
            inside = Inside::Enum { indent };
        } else if code.starts_with("pub trait ") && code.ends_with('{') {
            inside = Inside::Trait { indent };
        }
    }
    missing
}

fn is_public(code: &str, indent: usize, inside: Inside) -> bool {
    let has_own_place = code.starts_with("pub use ") || code.starts_with("pub mod ");
    // What a macro writes is documented where it is called.
    let is_template = code.contains('$');
    let is_item = code.starts_with("pub ") && !has_own_place && !is_template;
    let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match inside {
        Inside::Module => is_item,
        Inside::Enum { indent: outer } if indent == outer + 4 => {
            code.starts_with(|c: char| c.is_ascii_uppercase())
        }
        Inside::Enum { indent: outer } => {
            let field = code.split_once(": ").map(|(name, _)| name);
            indent == outer + 8 && field.is_some_and(is_name)
        }
        Inside::Trait { indent: outer } => {
            let is_member = ["fn ", "async fn ", "type ", "const "]
                .iter()
                .any(|start| code.starts_with(start));
            indent == outer + 4 && is_member
        }
    }
}

/// Whether documentation stands at the end of what precedes an item, but for attributes.
fn is_documented(before: &[&str]) -> bool {
    let mut lines = before.iter().rev().map(|line| line.trim_start());
    while let Some(line) = lines.next() {
        if line.starts_with("///") || line.starts_with("#[doc") {
            return true;
        }
        if line.ends_with(']') && !line.starts_with("#[") {
            // An attribute of several lines.
            let _start = lines.find(|line| line.starts_with("#["));
        } else if !line.starts_with("#[") {
            return false;
        }
    }
    false
}

#[test]
fn what_has_no_documentation_is_found_in_every_form() {
    let source = "\
/// It has.
#[derive(Debug)]
#[error(
    \"of several lines\"
)]
pub struct Good {
    /// It has.
    pub one: u8,
    pub two: u8,
    private: u8,
}

pub enum Bad {
    /// It has.
    Good { good: u8 },
    Bad(u8),
    /// It has.
    #[error(\"x\")]
    Wide {
        bad: u8,
        /// It has.
        good: u8,
    },
}

/// It has.
pub trait Trait {
    fn bad(&self);
    /// It has.
    fn good(&self) {
        let x: u8 = 1;
    }
}

pub use inner::Other;
pub(crate) fn private() {}
pub fn bad() {}

#[cfg(test)]
mod tests {
    pub fn of_a_test() {}
}
";
    assert_eq!(
        missing(source),
        [
            "pub two: u8,",
            "pub enum Bad {",
            "Bad(u8),",
            "bad: u8,",
            "fn bad(&self);",
            "pub fn bad() {}"
        ]
    );
}
