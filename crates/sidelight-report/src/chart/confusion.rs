//! Which classes are taken for which, as a table that can be read aloud.

use maud::{Markup, html};

use crate::number::{count, percent};
use crate::page::{Align, table};
use crate::text::shortened;

/// Up to so many classes the whole matrix is shown, beyond only what is confused most.
const WHOLE: usize = 14;
const MOST_CONFUSED: usize = 20;

/// Counts of rows by true and predicted class.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConfusionMatrix {
    /// Names of the classes, in the order of the counts.
    pub names: Vec<String>,
    /// Number of rows, `[true class][predicted class]`.
    pub counts: Vec<Vec<usize>>,
}

impl ConfusionMatrix {
    /// Counts pairs of `(true, predicted)`.
    ///
    /// # Panics
    ///
    /// Where a class is beyond the names.
    pub fn from_pairs(names: &[String], pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut counts = vec![vec![0; names.len()]; names.len()];
        for (truth, predicted) in pairs {
            counts[truth][predicted] += 1;
        }
        Self {
            names: names.to_vec(),
            counts,
        }
    }

    /// Rows in all.
    pub fn n(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// A table: the matrix, shaded by the share of its row, or the pairs that are confused most.
    pub fn html(&self) -> Markup {
        match self.names.len() <= WHOLE {
            true => self.matrix(),
            false => self.pairs(),
        }
    }

    fn matrix(&self) -> Markup {
        html! {
            div.scroll { table.confusion {
                thead { tr {
                    th scope="col" { "true ↓ \u{2003} predicted →" }
                    @for name in &self.names {
                        th scope="col" title=(name) { (shortened(name, 14)) }
                    }
                    th scope="col" { "n" }
                    th scope="col" { "right" }
                } }
                tbody {
                    @for (truth, row) in self.counts.iter().enumerate() { (self.row(truth, row)) }
                }
            } }
        }
    }

    fn row(&self, truth: usize, row: &[usize]) -> Markup {
        let n: usize = row.iter().sum();
        let name = &self.names[truth];
        let right = match n {
            0 => "–".to_owned(),
            n => percent(row[truth] as f64 / n as f64),
        };
        // Shaded by share; the text stays legible because the shade is never full.
        let shade = |cell: usize| (60.0 * cell as f64 / n as f64).round();
        html! {
            tr {
                th scope="row" title=(name) { (shortened(name, 14)) }
                @for (predicted, &cell) in row.iter().enumerate() {
                    @if cell == 0 {
                        td.zero { "·" }
                    } @else {
                        td class=(if predicted == truth { "right" } else { "wrong" })
                            style={ "--share:" (shade(cell)) "%" } { (count(cell)) }
                    }
                }
                td.num { (count(n)) }
                td.num { (right) }
            }
        }
    }

    fn pairs(&self) -> Markup {
        let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
        for (truth, row) in self.counts.iter().enumerate() {
            let cells = row.iter().enumerate();
            let wrong = cells.filter(|(predicted, n)| *predicted != truth && **n > 0);
            pairs.extend(wrong.map(|(predicted, n)| (truth, predicted, *n)));
        }
        if pairs.is_empty() {
            return html! { p { "No row was taken for another class." } };
        }
        pairs.sort_by_key(|(_, _, n)| std::cmp::Reverse(*n));
        let cells = |&(truth, predicted, n): &(usize, usize, usize)| {
            let of: usize = self.counts[truth].iter().sum();
            let share = format!("{} of {}", percent(n as f64 / of.max(1) as f64), count(of));
            let names = [truth, predicted].map(|class| self.names[class].clone());
            let [truth, predicted] = names;
            vec![truth, predicted, count(n), share]
        };
        let columns = [
            ("true", Align::Text),
            ("taken for", Align::Text),
            ("rows", Align::Number),
            ("of the class", Align::Number),
        ];
        let rows: Vec<Vec<String>> = pairs.iter().take(MOST_CONFUSED).map(cells).collect();
        table(&columns, &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|k| format!("<{k}>")).collect()
    }

    #[test]
    fn a_matrix_is_a_table_with_every_count_and_its_n() {
        let matrix = ConfusionMatrix::from_pairs(&names(2), [(0, 0), (0, 0), (0, 1), (1, 1)]);
        assert_eq!(matrix.n(), 4);
        insta::assert_snapshot!(matrix.html().into_string().replace("><", ">\n<"), @r#"
        <div class="scroll">
        <table class="confusion">
        <thead>
        <tr>
        <th scope="col">true ↓   predicted →</th>
        <th scope="col" title="&lt;0&gt;">&lt;0&gt;</th>
        <th scope="col" title="&lt;1&gt;">&lt;1&gt;</th>
        <th scope="col">n</th>
        <th scope="col">right</th>
        </tr>
        </thead>
        <tbody>
        <tr>
        <th scope="row" title="&lt;0&gt;">&lt;0&gt;</th>
        <td class="right" style="--share:40%">2</td>
        <td class="wrong" style="--share:20%">1</td>
        <td class="num">3</td>
        <td class="num">66.7 %</td>
        </tr>
        <tr>
        <th scope="row" title="&lt;1&gt;">&lt;1&gt;</th>
        <td class="zero">·</td>
        <td class="right" style="--share:60%">1</td>
        <td class="num">1</td>
        <td class="num">100 %</td>
        </tr>
        </tbody>
        </table>
        </div>
        "#);
    }

    #[test]
    fn of_many_classes_only_the_confused_are_shown() {
        let matrix = ConfusionMatrix::from_pairs(&names(99), [(0, 0), (3, 98), (3, 98), (5, 6)]);
        let html = matrix.html().into_string();
        assert_eq!(html.matches("<tr>").count(), 3);
        assert!(html.find("&lt;98&gt;").unwrap() < html.find("&lt;6&gt;").unwrap());
        assert!(
            ConfusionMatrix::from_pairs(&names(99), [(0, 0)])
                .html()
                .into_string()
                .contains("No row was taken")
        );
    }
}
