//! Text from outside in a page.
//!
//! All markup is made by `maud`, which escapes what is put into it; what is left is done here.

use std::borrow::Cow;

use maud::{Markup, html};

/// A text in which no part can rearrange its surroundings: control characters, and the marks that turn the direction
/// of the text around them, are replaced.
pub fn without_controls(page: &str) -> Cow<'_, str> {
    let misleads = |character: char| {
        let is_control = character.is_control() && !matches!(character, '\n' | '\t');
        is_control || matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    match page.contains(misleads) {
        true => page.replace(misleads, "\u{FFFD}").into(),
        false => page.into(),
    }
}

/// A sentence, with what stands between backticks set as code.
///
/// ```
/// use sidelight_report::text::prose;
/// assert_eq!(prose("no column `a<b`").into_string(), "no column <code>a&lt;b</code>");
/// assert_eq!(prose("an odd ` stays").into_string(), "an odd ` stays");
/// ```
pub fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    html! {
        @for (at, part) in parts.iter().enumerate() {
            @match (at % 2 == 1, at + 1 < parts.len()) {
                (true, true) => { code { (part) } }
                // The last backtick of an odd number has no partner.
                (true, false) => { "`" (part) }
                (false, _) => { (part) }
            }
        }
    }
}

/// A name that may be broken after an underscore or a dot.
pub fn breakable(name: &str) -> Markup {
    html! {
        @for part in name.split_inclusive(['_', '.']) {
            (part)
            @if part.ends_with(['_', '.']) { wbr; }
        }
    }
}

/// At most so many characters, the last of them an ellipsis where some were left out.
///
/// ```
/// assert_eq!(sidelight_report::text::shortened("Quercus robur", 8), "Quercus…");
/// ```
pub fn shortened(text: &str, n_characters: usize) -> String {
    if text.chars().count() <= n_characters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(n_characters.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A sentence's first letter made large.
pub fn sentence_case(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        let hostile = r#"<img src=x onerror='alert("1")'>&amp;"#;
        assert_eq!(
            html! { p title=(hostile) { (hostile) } }.into_string(),
            "<p title=\"&lt;img src=x onerror='alert(&quot;1&quot;)'&gt;&amp;amp;\">\
             &lt;img src=x onerror='alert(&quot;1&quot;)'&gt;&amp;amp;</p>"
        );
        assert_eq!(
            breakable("a_<b>.c").into_string(),
            "a_<wbr>&lt;b&gt;.<wbr>c"
        );
    }

    #[test]
    fn text_cannot_turn_its_surroundings_around() {
        assert_eq!(
            without_controls("a\u{202E}b\u{0}c\u{2066}\n"),
            "a\u{FFFD}b\u{FFFD}c\u{FFFD}\n"
        );
        let other_scripts = "Eiche – дуб – 橡树 – بلوط";
        assert_eq!(without_controls(other_scripts), other_scripts);
    }

    #[test]
    fn what_is_short_enough_is_not_shortened() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
    }
}
