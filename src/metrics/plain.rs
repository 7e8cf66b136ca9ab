//! Prometheus' older text format (0.0.4), made of OpenMetrics: there a counter's family has the name of its samples, and
//! neither units nor an end are declared.

/// The same page in the older format.
pub(super) fn from_open_metrics(page: &str) -> String {
    let mut plain = String::with_capacity(page.len());
    // The line that explains a metric comes before the one that says what it is.
    let mut help: Option<(&str, &str)> = None;
    for line in page.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            plain += line;
            plain.push('\n');
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        let (what, name, text) = (words.next(), words.next(), words.next());
        match (what, name, text) {
            (Some("HELP"), Some(name), Some(text)) => help = Some((name, text)),
            (Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", kind),
                    "unknown" => ("", "untyped"),
                    _ => ("", kind),
                };
                if let Some((_, text)) = help.take().filter(|(of, _)| *of == name) {
                    plain += &format!("# HELP {name}{suffix} {text}\n");
                }
                plain += &format!("# TYPE {name}{suffix} {kind}\n");
            }
            // UNIT and EOF.
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_called_as_their_samples_are() {
        let page = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
                    a_seconds_total{x=\"# HELP\"} 1.5\n\
                    # HELP b A gauge.\n# TYPE b gauge\nb 2\n\
                    # HELP c What grows.\n# TYPE c unknown\nc 3\n# EOF\n";
        assert_eq!(
            from_open_metrics(page),
            "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\n\
             a_seconds_total{x=\"# HELP\"} 1.5\n\
             # HELP b A gauge.\n# TYPE b gauge\nb 2\n\
             # HELP c What grows.\n# TYPE c untyped\nc 3\n"
        );
    }
}
