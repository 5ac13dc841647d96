//! Text in YAML that others read: MLflow's `meta.yaml`, the head of a model card.

/// What YAML 1.1 takes for something else than text.
const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];

/// Text as a scalar: as it is where that is text to every reader, otherwise in double quotes.
pub(crate) fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ['_', '-', '.', '/'].contains(&c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    match is_plain {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// What is no line of its own and cannot be printed becomes an escape, as in JSON.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{2028}' | '\u{2029}' => {
                escape(&mut quoted, c)
            }
            c if c.is_control() => escape(&mut quoted, c),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// All that is escaped has at most four digits.
fn escape(to: &mut String, c: char) {
    to.push_str(&format!("\\u{:04X}", u32::from(c)));
}

#[cfg(test)]
mod tests {
    use super::scalar;

    #[test]
    fn text_stays_text_to_every_reader() {
        let cases = [
            ("image-classification", "image-classification"),
            ("timm/resnet18.tv_in1k", "timm/resnet18.tv_in1k"),
            ("no", "\"no\""),
            ("1e5", "\"1e5\""),
            ("", "\"\""),
            ("a: b # c", "\"a: b # c\""),
            ("größe \"x\"\\", "\"größe \\\"x\\\"\\\\\""),
            ("a\nb\u{85}c\u{7f}", "\"a\\u000Ab\\u0085c\\u007F\""),
        ];
        for (text, expected) in cases {
            assert_eq!(scalar(text), expected);
        }
    }
}
