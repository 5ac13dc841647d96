//! Text from outside, made harmless in HTML.

use std::fmt::{self, Write};

/// Text that is escaped as it is displayed: for element content and for quoted attributes.
///
/// Besides the five characters of HTML's own, control characters and the marks that turn the
/// direction of the text around them are replaced, so that a name cannot rearrange its sentence.
///
/// # Example
///
/// ```
/// use sidelight_report::escape;
/// assert_eq!(escape("<b>R&D</b>").to_string(), "&lt;b&gt;R&amp;D&lt;/b&gt;");
/// ```
pub fn escape(text: &str) -> Escaped<'_> {
    Escaped(text)
}

/// See [`escape`].
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(character)?,
                _ if misleads(character) => f.write_char('\u{FFFD}')?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

fn misleads(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A sentence, escaped, with what stands between backticks set as code.
///
/// ```
/// use sidelight_report::escape::prose;
/// assert_eq!(prose("no column `a<b`"), "no column <code>a&lt;b</code>");
/// assert_eq!(prose("an odd ` stays"), "an odd ` stays");
/// ```
pub fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        match (at % 2 == 1, at + 1 < parts.len()) {
            (true, true) => put!(&mut out, "<code>{}</code>", escape(part)),
            // The last backtick of an odd number has no partner.
            (true, false) => put!(&mut out, "`{}", escape(part)),
            (false, _) => put!(&mut out, "{}", escape(part)),
        }
    }
    out
}

/// A name, escaped, that may be broken after an underscore or a dot.
pub fn breakable(name: &str) -> String {
    escape(name)
        .to_string()
        .replace('_', "_<wbr>")
        .replace('.', ".<wbr>")
}

/// At most so many characters, the last of them an ellipsis where some were left out.
///
/// ```
/// assert_eq!(sidelight_report::escape::shortened("Quercus robur", 8), "Quercus…");
/// ```
pub fn shortened(text: &str, n_characters: usize) -> String {
    if text.chars().count() <= n_characters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(n_characters.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        let hostile = r#"<img src=x onerror='alert("1")'>&amp;"#;
        assert_eq!(
            escape(hostile).to_string(),
            "&lt;img src=x onerror=&#39;alert(&quot;1&quot;)&#39;&gt;&amp;amp;"
        );
    }

    #[test]
    fn text_cannot_turn_its_surroundings_around() {
        assert_eq!(
            escape("a\u{202E}b\u{0}c\u{2066}").to_string(),
            "a\u{FFFD}b\u{FFFD}c\u{FFFD}"
        );
    }

    #[test]
    fn other_scripts_stay_as_they_are() {
        assert_eq!(
            escape("Eiche – дуб – 橡树 – بلوط").to_string(),
            "Eiche – дуб – 橡树 – بلوط"
        );
    }

    #[test]
    fn what_is_short_enough_is_not_shortened() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
    }
}
