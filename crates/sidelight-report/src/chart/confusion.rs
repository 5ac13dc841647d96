//! Which classes are taken for which, as a table that can be read aloud.

use crate::escape::{escape, shortened};
use crate::number::{count, percent};

/// Up to so many classes the whole matrix is shown, beyond only what is confused most.
const WHOLE: usize = 14;
const MOST_CONFUSED: usize = 20;

/// Counts of rows by true and predicted class.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConfusionMatrix {
    /// The classes.
    pub names: Vec<String>,
    /// `[true][predicted]`.
    pub counts: Vec<Vec<usize>>,
}

impl ConfusionMatrix {
    /// Counts pairs of `(true, predicted)`.
    ///
    /// # Panics
    ///
    /// Where a class is beyond the names.
    pub fn of(names: &[String], pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
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
    pub fn html(&self) -> String {
        match self.names.len() <= WHOLE {
            true => self.matrix(),
            false => self.pairs(),
        }
    }

    fn matrix(&self) -> String {
        let mut out = String::from(
            "<div class=\"scroll\"><table class=\"confusion\"><thead><tr><th scope=\"col\">true ↓ \u{2003} predicted →</th>",
        );
        for name in &self.names {
            put!(
                &mut out,
                "<th scope=\"col\" title=\"{}\">{}</th>",
                escape(name),
                short(name)
            );
        }
        out.push_str("<th scope=\"col\">n</th><th scope=\"col\">right</th></tr></thead><tbody>");
        for (truth, row) in self.counts.iter().enumerate() {
            self.put_row(&mut out, truth, row);
        }
        out.push_str("</tbody></table></div>");
        out
    }

    fn put_row(&self, out: &mut String, truth: usize, row: &[usize]) {
        let n: usize = row.iter().sum();
        let name = &self.names[truth];
        put!(
            out,
            "<tr><th scope=\"row\" title=\"{}\">{}</th>",
            escape(name),
            short(name)
        );
        for (predicted, cell) in row.iter().enumerate() {
            let share = *cell as f64 / n.max(1) as f64;
            let class = if predicted == truth { "right" } else { "wrong" };
            match cell {
                0 => out.push_str("<td class=\"zero\">·</td>"),
                // Shaded by share; the text stays legible because the shade is never full.
                cell => put!(
                    out,
                    "<td class=\"{class}\" style=\"--share:{}%\">{}</td>",
                    (share * 60.0).round(),
                    count(*cell)
                ),
            }
        }
        let right = match n {
            0 => "–".to_owned(),
            n => percent(row[truth] as f64 / n as f64),
        };
        put!(
            out,
            "<td class=\"num\">{}</td><td class=\"num\">{right}</td></tr>",
            count(n)
        );
    }

    fn pairs(&self) -> String {
        let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
        for (truth, row) in self.counts.iter().enumerate() {
            let wrong = row
                .iter()
                .enumerate()
                .filter(|(predicted, n)| *predicted != truth && **n > 0);
            pairs.extend(wrong.map(|(predicted, n)| (truth, predicted, *n)));
        }
        pairs.sort_by_key(|(_, _, n)| std::cmp::Reverse(*n));
        let mut out = String::from(
            "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">true</th><th scope=\"col\">taken for</th><th scope=\"col\" class=\"num\">rows</th><th scope=\"col\" class=\"num\">of the class</th></tr></thead><tbody>",
        );
        for (truth, predicted, n) in pairs.iter().take(MOST_CONFUSED) {
            let of: usize = self.counts[*truth].iter().sum();
            put!(
                &mut out,
                "<tr><td>{}</td><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{} of {}</td></tr>",
                escape(&self.names[*truth]),
                escape(&self.names[*predicted]),
                count(*n),
                percent(*n as f64 / of.max(1) as f64),
                count(of)
            );
        }
        if pairs.is_empty() {
            out.push_str("<tr><td colspan=\"4\">no row was taken for another class</td></tr>");
        }
        out.push_str("</tbody></table></div>");
        out
    }
}

fn short(name: &str) -> String {
    escape(&shortened(name, 14)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|k| format!("<{k}>")).collect()
    }

    #[test]
    fn a_matrix_is_a_table_with_every_count_and_its_n() {
        let matrix = ConfusionMatrix::of(&names(2), [(0, 0), (0, 0), (0, 1), (1, 1)]);
        assert_eq!(matrix.n(), 4);
        insta::assert_snapshot!(matrix.html().replace("><", ">\n<"), @r#"
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
        let matrix = ConfusionMatrix::of(&names(99), [(0, 0), (3, 98), (3, 98), (5, 6)]);
        let html = matrix.html();
        assert_eq!(html.matches("<tr>").count(), 3);
        assert!(html.find("&lt;98&gt;").unwrap() < html.find("&lt;6&gt;").unwrap());
        assert!(
            ConfusionMatrix::of(&names(99), [(0, 0)])
                .html()
                .contains("no row was taken")
        );
    }
}
