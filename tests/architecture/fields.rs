//! How many fields structs have.

/// The structs of a source, each with the number of its fields.
pub(crate) fn of(source: &str) -> Vec<(&str, usize)> {
    let mut structs: Vec<(&str, usize)> = Vec::new();
    let mut is_inside = false;
    for line in source.lines() {
        if let Some(name) = opened(line) {
            structs.push((name, 0));
            is_inside = true;
        } else if line == "}" {
            is_inside = false;
        } else if is_inside
            && is_field(line)
            && let Some((_, fields)) = structs.last_mut()
        {
            *fields += 1;
        }
    }
    structs
}

/// The name of the struct with named fields that begins on this line.
fn opened(line: &str) -> Option<&str> {
    let (visibility, rest) = line.split_once("struct ")?;
    if !(visibility.is_empty() || visibility.starts_with("pub")) || !rest.ends_with(" {") {
        return None;
    }
    rest.split(|character: char| !(character.is_alphanumeric() || character == '_'))
        .next()
}

fn is_field(line: &str) -> bool {
    let is_of_struct = line.starts_with("    ") && !line.starts_with("     ");
    let line = line.trim_start();
    let line = match line.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ").map_or("", |(_, rest)| rest),
        None => line.trim_start_matches("pub "),
    };
    let name = line.split_once(": ").map_or("", |(name, _)| name);
    let is_name = |name: &str| name.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_of_struct && !name.is_empty() && is_name(name)
}

#[test]
fn fields_are_counted_in_every_form() {
    let source = "\
struct None;
struct Tuple(u8, u8);
pub(in crate::a) struct Of<'a> {
    /// Not: a field.
    pub(in crate::a) one: &'a str,
    #[allow(unused)]
    two: [u8; 2],
    pub three: fn(
        u8,
    ),
}
impl Of<'_> {
    fn new() -> Self {
        Self { one: \"\" }
    }
}
struct Other {
    pub(super) four: u8,
}
";
    assert_eq!(of(source), [("Of", 3), ("Other", 1)]);
}
