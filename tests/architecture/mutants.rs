//! The mistakes made on purpose, `tests/mutants`: patches of sources that change.

/// What a patch expects to find, and where: the file and the lines of each of its parts.
pub(crate) fn expected(patch: &str) -> Vec<(String, String)> {
    let mut parts: Vec<(String, String)> = Vec::new();
    let mut file = None;
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("--- a/") {
            file = Some(path.to_owned());
        } else if line.starts_with("@@ ") {
            let file = file.clone().expect("a file comes before its parts");
            parts.push((file, String::new()));
        } else if let Some((_, lines)) = parts.last_mut()
            && let Some(line) = line.strip_prefix([' ', '-'])
        {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    parts
}

#[test]
fn lines_that_are_there_before_a_patch_are_expected() {
    let patch = "Why.\n\n--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n";
    let expected = expected(patch);
    assert_eq!(expected, [("src/a.rs".to_owned(), "one\ntwo\n".to_owned())]);
}
