//! The frame of a page: head, style, sections, figures and tables.

use maud::{Markup, PreEscaped, Render, html};
use sidelight_evidence::metric::Metric;

use crate::text::{prose, without_controls};

/// Everything a page may load: nothing but what is written in it.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
/// How a page of ours looks.
pub const STYLE: &str = include_str!("page.css");

/// A page in the making.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What kind of page it is: `Run report`.
    pub kind: String,
    /// Title of the page.
    pub title: String,
    /// The one sentence a reader should take away.
    pub lead: String,
    /// Its sections, in order: heading and content.
    pub sections: Vec<(String, Markup)>,
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

    /// Adds a section with a heading and a place in the table of contents; one without content is left out.
    #[must_use]
    pub fn section(mut self, title: &str, html: Markup) -> Self {
        if !html.0.is_empty() {
            self.sections.push((title.into(), html));
        }
        self
    }

    /// The whole document.
    pub fn html(&self) -> String {
        let page = html! {
            (PreEscaped("<!doctype html>\n"))
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content={ "sidelight " (env!("CARGO_PKG_VERSION")) };
                    title { (self.title) " – " (self.kind) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (self.head())
                    main {
                        @for (n, (title, html)) in (1..).zip(&self.sections) {
                            section id={ "s" (n) } aria-labelledby={ "h" (n) } {
                                h2 id={ "h" (n) } { (title) }
                                (html)
                            }
                        }
                    }
                }
            }
        };
        without_controls(&page.0).into_owned()
    }

    fn head(&self) -> Markup {
        html! {
            header {
                p.kind { b { "Sidelight" } " " (self.kind) }
                h1 { (self.title) }
                @if !self.lead.is_empty() { p.lead { (prose(&self.lead)) } }
                @if self.sections.len() > 2 {
                    nav aria-label="Contents" { ul {
                        @for (n, (title, _)) in (1..).zip(&self.sections) {
                            li { a href={ "#s" (n) } { (title) } }
                        }
                    } }
                }
            }
        }
    }
}

/// Several pieces of markup as one.
pub fn all(pieces: impl IntoIterator<Item = Markup>) -> Markup {
    PreEscaped(pieces.into_iter().map(PreEscaped::into_string).collect())
}

/// A drawing with its caption: a title and a sentence.
pub fn figure(drawing: &Markup, title: &str, caption: &str) -> Markup {
    html! {
        figure {
            figcaption { b { (title) } " " (caption) }
            div.scroll { (drawing) }
        }
    }
}

/// The same over the whole width; on a narrow display it can be moved sideways, by keyboard too.
pub fn wide_figure(drawing: &Markup, title: &str, caption: &str) -> Markup {
    html! {
        figure.wide {
            figcaption { b { (title) } " " (caption) }
            div.scroll tabindex="0" { (drawing) }
        }
    }
}

/// Figures side by side, as many as fit.
pub fn figures(figures: impl IntoIterator<Item = Markup>) -> Markup {
    figures_of_class("figures", figures)
}

/// The same, standing on one line: for axes that are to be compared.
pub fn standing_figures(figures: impl IntoIterator<Item = Markup>) -> Markup {
    figures_of_class("figures standing", figures)
}

fn figures_of_class(class: &str, figures: impl IntoIterator<Item = Markup>) -> Markup {
    let all = all(figures);
    html! { @if !all.0.is_empty() { div class=(class) { (all) } } }
}

/// A table with a drawing beside it, or below where there is no room.
pub fn beside(table: &Markup, figure: &Markup) -> Markup {
    html! { div.beside { (table) (figure) } }
}

/// What is in a column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// A left-aligned column of words.
    Text,
    /// A right-aligned column of numbers.
    Number,
}

impl Align {
    fn class(self) -> Option<&'static str> {
        (self == Self::Number).then_some("num")
    }
}

/// A table with a heading for each column and, in each row, a heading first.
pub fn table<C: Render>(columns: &[(&str, Align)], rows: &[Vec<C>]) -> Markup {
    let rows = rows.iter().map(|cells| row(columns, None, cells));
    table_of_rows(columns, &all(rows))
}

/// The same of rows that were made by [`row`].
pub fn table_of_rows(columns: &[(&str, Align)], rows: &Markup) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                @for (name, align) in columns { th scope="col" class=[align.class()] { (name) } }
            } }
            tbody { (rows) }
        } }
    }
}

/// One row of a table of these columns.
pub fn row<C: Render>(columns: &[(&str, Align)], class: Option<&str>, cells: &[C]) -> Markup {
    html! {
        tr class=[class] {
            @for (at, (cell, (_, align))) in cells.iter().zip(columns).enumerate() {
                @if at == 0 {
                    th scope="row" class=[align.class()] { (cell) }
                } @else {
                    td class=[align.class()] { (cell) }
                }
            }
        }
    }
}

/// Names and what they are, in columns; nothing for none.
pub fn facts(facts: &[(String, String)]) -> Markup {
    html! {
        @if !facts.is_empty() {
            dl.facts {
                @for (name, value) in facts { div { dt { (name) } dd { (prose(value)) } } }
            }
        }
    }
}

/// Sentences, one below the other; nothing for none.
pub fn remarks<S: AsRef<str>>(remarks: &[S]) -> Markup {
    html! {
        @if !remarks.is_empty() {
            ul.remarks { @for remark in remarks { li { (prose(remark.as_ref())) } } }
        }
    }
}

/// Text as it is in its file; nothing for none.
pub fn listing(text: &str) -> Markup {
    html! { @if !text.trim().is_empty() { pre tabindex="0" { (text.trim_end()) } } }
}

/// Something that is there for who wants it.
pub fn folded(summary: &str, html: &Markup) -> Markup {
    html! { @if !html.0.is_empty() { details { summary { (summary) } (html) } } }
}

/// A sentence or two.
pub fn paragraph(text: &str) -> Markup {
    html! { @if !text.is_empty() { p { (prose(text)) } } }
}

/// A metric in words: what it means and which way it improves; empty for one that is not in the table of metrics.
pub(crate) fn described(metric: &str) -> String {
    Metric::named(metric).map_or_else(String::new, |metric| {
        format!("{}; {}", metric.meaning(), metric.better.words())
    })
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
            .section("Empty", Markup::default())
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
            &[vec!["<c>", "1"]],
        )
        .into_string();
        assert!(
            html.contains("<th scope=\"col\">&lt;h&gt;</th><th scope=\"col\" class=\"num\">n</th>")
        );
        assert!(html.contains("<th scope=\"row\">&lt;c&gt;</th><td class=\"num\">1</td>"));
    }

    #[test]
    fn nothing_makes_no_markup() {
        let nothing: [&str; 0] = [];
        let none = [
            facts(&[]),
            remarks(&nothing),
            listing(" \n"),
            folded("x", &Markup::default()),
            paragraph(""),
            figures([]),
        ];
        assert_eq!(all(none).into_string(), "");
    }
}
