//! The audit as a page of its own.

use maud::{Markup, html};

use crate::chart::{Bar, BarChart};
use crate::number::{count, fixed, number, p_value, percent};
use crate::overlay::{self, Card, Outcome, name_of};
use crate::page::{self, Align, Page};
use crate::text::{breakable, prose};
use sidelight_data::config::Config;
use sidelight_data::dataset::{Dataset, Targets};
use sidelight_data::task::Task;
use sidelight_data::write::TargetCell;
use sidelight_evidence::audit::{
    Advice, Audit, ColumnAudit, FOLDS, Finding, N_PERMUTATIONS, Power, SameImage, fingerprint,
};

/// Bars in the chart.
const BARS: usize = 20;
/// Sets of the same image that are shown, and rows of each.
const SETS: usize = 6;
const ROWS: usize = 4;

/// The page of an audit; `title` is what the person named, `dataset` what [`audit`](sidelight_evidence::audit::audit)
/// gave beside it.
pub fn audit_page(audit: &Audit, title: &str, config: &Config, dataset: &Dataset) -> String {
    let all: Vec<usize> = (0..dataset.len()).collect();
    // Rows of one class are no task, and are shown without it.
    let task = Task::fit(dataset, &config.target, &all).ok();
    let (used, others): (Vec<_>, Vec<_>) = audit.columns.iter().partition(|column| column.used);
    let findings: Vec<String> = audit.findings.iter().map(Finding::to_string).collect();
    let images = html! { (page::remarks(&findings)) (same_images(audit, dataset, task.as_ref())) };
    Page::new("audit", title, &audit.sentence())
        .section("What was looked at", page::facts(&facts(audit)))
        .section("Columns in use", html! { (columns(&used)) (chart(&used)) })
        .section("Rows and images", images)
        .section("Columns not in use", columns(&others))
        .section("How to read this", reading())
        .section("What was noticed", page::remarks(&audit.remarks))
        .html()
}

fn facts(audit: &Audit) -> Vec<(String, String)> {
    let units = match audit.units == audit.rows {
        true => "each row by itself".into(),
        false => format!("{} groups", count(audit.units)),
    };
    [
        ("target", audit.target.clone()),
        ("rows", count(audit.rows)),
        ("independent units", units),
        ("images", count(audit.images)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The table; what no column has is left out.
fn columns(columns: &[&ColumnAudit]) -> Markup {
    if columns.is_empty() {
        return Markup::default();
    }
    let score = |power: Option<Power>| power.map(|power| fixed(power.score, 3));
    let p = |power: Option<Power>| power.map(|power| p_value(power.p));
    let missing = |column: &ColumnAudit| match column.missing {
        0 => Some("0".into()),
        n => Some(percent(n as f64 / column.rows as f64)),
    };
    type Read<'a> = &'a dyn Fn(&ColumnAudit) -> Option<String>;
    let all: [(&str, Read<'_>); 6] = [
        ("missing", &missing),
        ("alone", &|column| score(column.alone)),
        ("p", &|column| p(column.alone)),
        ("that it is missing", &|column| score(column.gaps)),
        ("p", &|column| p(column.gaps)),
        ("shift", &|column| {
            column.shift.map(|shift| fixed(shift.distance, 2))
        }),
    ];
    let known = |read: Read<'_>| columns.iter().any(|column| read(column).is_some());
    let numbers: Vec<(&str, Read<'_>)> = all.into_iter().filter(|(_, read)| known(*read)).collect();
    let mut headings = vec![("column", Align::Text), ("advice", Align::Text)];
    headings.extend(numbers.iter().map(|(name, _)| (*name, Align::Number)));
    headings.push(("why", Align::Text));
    let row = |column: &&ColumnAudit| {
        let advice = match column.advice {
            Advice::Keep => html! { "keep" },
            Advice::LookAt => html! { b { "look\u{a0}at" } },
            Advice::Drop => html! { b { "drop" } },
        };
        let numbers = numbers.iter();
        let numbers = numbers.map(|(_, read)| html! { (read(column).unwrap_or_default()) });
        let mut cells = vec![breakable(&column.name), advice];
        cells.extend(numbers);
        cells.push(prose(&column.reason()));
        cells
    };
    page::table(&headings, &columns.iter().map(row).collect::<Vec<_>>())
}

fn chart(columns: &[&ColumnAudit]) -> Markup {
    let mut known: Vec<(&ColumnAudit, Power)> = columns
        .iter()
        .filter_map(|column| Some((*column, column.alone?)))
        .collect();
    known.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let left_out = known.len().saturating_sub(BARS);
    known.truncate(BARS);
    // Bars of nothing say nothing.
    if known.first().is_none_or(|(_, power)| power.score <= 0.0) {
        return Markup::default();
    }
    let bar = |(column, power): &(&ColumnAudit, Power)| Bar {
        name: column.name.clone(),
        value: power.score.max(0.0),
        interval: None,
        note: format!("(p {})", p_value(power.p)),
    };
    let bars = BarChart {
        label: "0 as good as chance, 1 perfect".into(),
        bars: known.iter().map(bar).collect(),
    };
    let rest = match left_out {
        0 => String::new(),
        n => format!(" {n} weaker columns are left out."),
    };
    let caption = format!("On held-out rows, without the image or any other column.{rest}");
    page::figures([page::figure(
        &bars.svg(),
        "What each column predicts alone.",
        &caption,
    )])
}

/// The first sets of rows with the same image, conflicts first.
fn same_images(audit: &Audit, dataset: &Dataset, task: Option<&Task>) -> Markup {
    let mut sets: Vec<&SameImage> = audit.same_images.iter().collect();
    sets.sort_by_key(|same| {
        (
            !same.conflict,
            !same.across_parts,
            !same.across_groups,
            same.is_exact(),
        )
    });
    let shown = |same: &SameImage| {
        let card = |row: &usize| card(dataset, task, *row);
        let cards: Vec<Card> = same.rows.iter().take(ROWS).map(card).collect();
        html! { h3 { (heading(same)) } (overlay::cards(&cards)) }
    };
    let rest = match sets.len().saturating_sub(SETS) {
        0 => String::new(),
        1 => "Another set of rows shares an image.".to_owned(),
        n => format!("{n} more sets of rows share an image."),
    };
    html! {
        @for same in sets.iter().take(SETS) { (shown(same)) }
        (page::paragraph(&rest))
    }
}

fn heading(same: &SameImage) -> String {
    let mut facts = vec![match same.is_exact() {
        true => "The same file",
        false => "Nearly the same picture",
    }];
    facts.extend(same.conflict.then_some("different targets"));
    facts.extend(same.across_groups.then_some("in several groups"));
    facts.extend(same.across_parts.then_some("in training and other rows"));
    let left_out = match same.rows.len().saturating_sub(ROWS) {
        0 => String::new(),
        n => format!("; {n} more rows"),
    };
    facts.join(", ") + &left_out
}

/// A row with its image and target; columns would be too many.
fn card(dataset: &Dataset, task: Option<&Task>, row: usize) -> Card {
    let picture = sidelight_data::image::decode(&dataset.images[row], None).ok();
    let targets = dataset.targets.as_ref();
    // Points are drawn, all else is said.
    let outcome = match (task, targets) {
        (Some(task @ Task::Keypoints { .. }), Some(targets)) => {
            let position = row;
            Outcome::new(task, Some(TargetCell { targets, position }), None)
        }
        _ => Outcome::Nothing,
    };
    Card::new(
        dataset.rows[row] + 1,
        &name_of(&dataset.images[row]),
        picture.as_ref(),
        outcome,
        targets.map_or_else(Vec::new, |targets| told(targets, row, task)),
    )
}

/// A target in words; labels as those that are present.
fn told(targets: &Targets, row: usize, task: Option<&Task>) -> Vec<(String, Option<String>)> {
    match targets {
        Targets::Keypoints { .. } => Vec::new(),
        Targets::Class { names, index } => {
            let column = match task {
                Some(Task::Class { column, .. }) => column.clone(),
                _ => "target".into(),
            };
            vec![(
                column,
                index[row].map(|class| names[class as usize].clone()),
            )]
        }
        Targets::Multilabel { names, present } => {
            let cells = names.iter().zip(&present[row * names.len()..]);
            let labels: Vec<&str> = cells
                .filter(|(_, present)| **present == Some(true))
                .map(|(name, _)| name.as_str())
                .collect();
            vec![("labels".into(), Some(labels.join(", ")))]
        }
        Targets::Regression { names, values } => {
            let cells = names.iter().zip(&values[row * names.len()..]);
            let known = |value: &f64| (!value.is_nan()).then(|| number(*value));
            cells
                .map(|(name, value)| (name.clone(), known(value)))
                .collect()
        }
    }
}

fn reading() -> Markup {
    let said = [
        format!(
            "Alone: what a small learner makes of the column by itself, on held-out rows of {FOLDS} folds that keep \
             groups whole. Categories, or up to 20 quantile bins of a number, each predict their own mean, shrunk \
             towards the mean of all by credibility (Bühlmann and Straub 1970). The figure is 1 − squared error / \
             squared error of the mean: 0 as good as chance, 1 perfect; noise lies on either side of 0."
        ),
        "That it is missing: the same of the mere fact that a row lacks the column.".to_owned(),
        format!(
            "p: how often any column stands out as far when columns are shuffled among independent units, {N_PERMUTATIONS} \
             times, each column measured by how it strays by chance (Westfall and Young 1993). It is corrected for the number \
             of columns. Beside it the figure must be large enough: 0.01 to be said to predict, 0.059 to be looked at, a \
             small and a medium effect (Cohen 1988)."
        ),
        "Shift: how far the column differs between training and other rows, where a column says which is which. \
         Numbers: Kolmogorov and Smirnov's distance; categories: half the sum of differences of shares."
            .to_owned(),
        format!(
            "Nearly the same picture: at most {0} of the 64 bits of its dHash differ (Krawetz 2013), its sides are in \
             the same proportion, and thumbnails of {1} × {1} pixels correlate by at least {2}.",
            fingerprint::MOST_BITS,
            fingerprint::SIDE,
            fingerprint::LEAST_CORRELATION
        ),
        "A column that predicts nothing alone may still help beside the image, and one that predicts much may be \
         what the image shows anyway: `sidelight compare` tells."
            .to_owned(),
    ];
    page::remarks(&said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidelight_evidence::audit::audit;

    #[test]
    fn the_page_says_what_the_table_says_and_loads_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let rows: String = (0..60)
            .map(|row| match row * 7 % 11 % 2 {
                0 => format!("{row}.png,a,x\n"),
                _ => format!("{row}.png,b,z\n"),
            })
            .collect();
        std::fs::write(
            folder.path().join("t.csv"),
            format!("file_name,y,w_<b>\n{rows}"),
        )
        .unwrap();
        let text = "data.table = \"t.csv\"\ntarget = { kind = \"class\", column = \"y\" }\n\
                    model.arm = \"metadata\"\nmetadata.\"w_<b>\" = \"categorical\"";
        let config = Config::parse(text, &folder.path().join("t.toml"), &[]).unwrap();
        let (found, dataset) = audit(&config, &|_, _| {}).unwrap();
        let html = audit_page(&found, "t.toml", &config, &dataset);
        assert!(html.contains("w_<wbr>&lt;b&gt;</th><td><b>drop</b>"));
        assert!(html.contains("the same as <code>y</code> in other words"));
        for outside in ["http://", "https://", "<script", "<link"] {
            assert!(!html.contains(outside), "{outside}");
        }
    }
}
