//! The frame of a page: head, style, sections, figures and tables.

use super::escape::{escape, prose};

/// Everything a page may load: nothing but what is written in it.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
/// How a page of ours looks.
pub const STYLE: &str = include_str!("page.css");

/// A page in the making.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// What kind of page it is: `Run report`.
    pub kind: String,
    /// Its title.
    pub title: String,
    /// The one sentence a reader should take away.
    pub lead: String,
    /// Its sections, in order.
    pub sections: Vec<Section>,
}

/// A part of a page with a heading and a place in the table of contents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Its content, HTML.
    pub html: String,
}

impl Page {
    /// A page without sections yet.
    pub fn new(kind: &str, title: &str, lead: &str) -> Self {
        Self {
            kind: kind.into(),
            title: title.into(),
            lead: lead.into(),
            sections: Vec::new(),
        }
    }

    /// Adds a section; one without content is left out.
    #[must_use]
    pub fn section(mut self, title: &str, html: String) -> Self {
        if !html.is_empty() {
            self.sections.push(Section {
                title: title.into(),
                html,
            });
        }
        self
    }

    /// The whole document.
    pub fn html(&self) -> String {
        let mut out =
            String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        put!(
            &mut out,
            "<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"generator\" content=\"sidelight {}\">\n\
             <title>{} – {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
            env!("CARGO_PKG_VERSION"),
            escape(&self.title),
            escape(&self.kind)
        );
        self.put_head(&mut out);
        out.push_str("<main>\n");
        for (n, section) in self.sections.iter().enumerate() {
            put!(
                &mut out,
                "<section id=\"s{0}\" aria-labelledby=\"h{0}\">\n<h2 id=\"h{0}\">{1}</h2>\n{2}\n</section>\n",
                n + 1,
                escape(&section.title),
                section.html
            );
        }
        out.push_str("</main>\n</body>\n</html>\n");
        out
    }

    fn put_head(&self, out: &mut String) {
        put!(
            out,
            "<header>\n<p class=\"kind\"><b>Sidelight</b> {}</p>\n<h1>{}</h1>\n",
            escape(&self.kind),
            escape(&self.title)
        );
        if !self.lead.is_empty() {
            put!(out, "<p class=\"lead\">{}</p>\n", prose(&self.lead));
        }
        if self.sections.len() > 2 {
            out.push_str("<nav aria-label=\"Contents\"><ul>");
            for (n, section) in self.sections.iter().enumerate() {
                put!(
                    out,
                    "<li><a href=\"#s{}\">{}</a></li>",
                    n + 1,
                    escape(&section.title)
                );
            }
            out.push_str("</ul></nav>\n");
        }
        out.push_str("</header>\n");
    }
}

/// A drawing with its caption: a title and a sentence.
pub fn figure(drawing: &str, title: &str, caption: &str) -> String {
    figure_of_class("", drawing, title, caption)
}

/// The same over the whole width; on a narrow display it can be moved sideways.
pub fn wide_figure(drawing: &str, title: &str, caption: &str) -> String {
    figure_of_class(" class=\"wide\"", drawing, title, caption)
}

fn figure_of_class(class: &str, drawing: &str, title: &str, caption: &str) -> String {
    let mut out = String::new();
    // What can be moved sideways must be reachable by keyboard.
    let focus = if class.is_empty() {
        ""
    } else {
        " tabindex=\"0\""
    };
    put!(
        &mut out,
        "<figure{class}><figcaption><b>{}</b> {}</figcaption><div class=\"scroll\"{focus}>{drawing}</div></figure>",
        escape(title),
        escape(caption)
    );
    out
}

/// Figures side by side, as many as fit.
pub fn figures(figures: &[String]) -> String {
    figures_of_class("figures", figures)
}

/// The same, standing on one line: for axes that are to be compared.
pub fn standing_figures(figures: &[String]) -> String {
    figures_of_class("figures standing", figures)
}

fn figures_of_class(class: &str, figures: &[String]) -> String {
    let all = figures.concat();
    match all.is_empty() {
        true => all,
        false => format!("<div class=\"{class}\">{all}</div>"),
    }
}

/// A table with a drawing beside it, or below where there is no room.
pub fn beside(table: &str, figure: &str) -> String {
    format!("<div class=\"beside\">{table}{figure}</div>")
}

/// What is in a column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Text,
    /// Numbers.
    Number,
}

/// A table with a heading for each column and, in each row, a heading first. Everything is escaped.
pub fn table(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let mut out = String::from("<div class=\"scroll\"><table><thead><tr>");
    let class = |align: Align| match align {
        Align::Text => "",
        Align::Number => " class=\"num\"",
    };
    for (name, align) in columns {
        put!(
            &mut out,
            "<th scope=\"col\"{}>{}</th>",
            class(*align),
            escape(name)
        );
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (at, (cell, (_, align))) in row.iter().zip(columns).enumerate() {
            match at {
                0 => put!(
                    &mut out,
                    "<th scope=\"row\"{}>{}</th>",
                    class(*align),
                    escape(cell)
                ),
                _ => put!(&mut out, "<td{}>{}</td>", class(*align), escape(cell)),
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}

/// Names and what they are, in columns; nothing for none.
pub fn facts(facts: &[(String, String)]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let mut out = String::from("<dl class=\"facts\">");
    for (name, value) in facts {
        put!(
            &mut out,
            "<div><dt>{}</dt><dd>{}</dd></div>",
            escape(name),
            prose(value)
        );
    }
    out.push_str("</dl>");
    out
}

/// Sentences, one below the other; nothing for none.
pub fn remarks(remarks: &[String]) -> String {
    if remarks.is_empty() {
        return String::new();
    }
    let mut out = String::from("<ul class=\"remarks\">");
    for remark in remarks {
        put!(&mut out, "<li>{}</li>", prose(remark));
    }
    out.push_str("</ul>");
    out
}

/// Text as it is in its file; nothing for none.
pub fn listing(text: &str) -> String {
    match text.trim().is_empty() {
        true => String::new(),
        false => format!("<pre tabindex=\"0\">{}</pre>", escape(text.trim_end())),
    }
}

/// Something that is there for who wants it.
pub fn folded(summary: &str, html: &str) -> String {
    match html.is_empty() {
        true => String::new(),
        false => format!(
            "<details><summary>{}</summary>{html}</details>",
            escape(summary)
        ),
    }
}

/// A sentence or two.
pub fn paragraph(text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!("<p>{}</p>", prose(text)),
    }
}

/// What the program ran on: its version, system, processor and cores.
pub fn machine() -> Vec<(String, String)> {
    let cores =
        std::thread::available_parallelism().map_or_else(|_| "unknown".into(), |n| n.to_string());
    [
        ("sidelight", env!("CARGO_PKG_VERSION").to_owned()),
        (
            "system",
            format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        ),
        ("cores", cores),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_whole_document_that_loads_nothing() {
        let html = Page::new("Run report", "runs/<a>", "It & that.")
            .section("One", paragraph("first"))
            .section("Empty", String::new())
            .section("Two & three", paragraph("<second>"))
            .html();
        assert!(html.starts_with("<!doctype html>"));
        assert!(html.contains("<title>runs/&lt;a&gt; – Run report</title>"));
        assert!(html.contains("<h2 id=\"h2\">Two &amp; three</h2>"));
        assert!(html.contains("default-src 'none'"));
        for outside in ["http://", "https://", "<script", "url(", "@import", "<link"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(!html.contains("Empty"));
    }

    #[test]
    fn a_table_escapes_its_cells_and_headings() {
        let html = table(
            &[("<h>", Align::Text), ("n", Align::Number)],
            &[vec!["<c>".into(), "1".into()]],
        );
        assert!(
            html.contains("<th scope=\"col\">&lt;h&gt;</th><th scope=\"col\" class=\"num\">n</th>")
        );
        assert!(html.contains("<th scope=\"row\">&lt;c&gt;</th><td class=\"num\">1</td>"));
    }

    #[test]
    fn nothing_makes_no_markup() {
        assert_eq!(
            facts(&[]) + &remarks(&[]) + &listing(" \n") + &folded("x", "") + &paragraph(""),
            ""
        );
        assert_eq!(figures(&[]), "");
    }
}
