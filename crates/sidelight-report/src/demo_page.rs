//! The demo's report: the same held-out rows under each arm, side by side.

use maud::{Markup, html};
use sidelight_evidence::metric::{better, meaning};

use crate::chart::{Bar, BarChart};
use crate::number::{count, number};
use crate::overlay::{Outcome, Thumbnail, metadata_table};
use crate::page::{self, Align, Page};

/// All that the demo's report says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DemoPage {
    /// The result in one sentence, with its n.
    pub lead: String,
    /// What the data are and what the columns decide, in a paragraph.
    pub story: String,
    /// Name of the metric, as in `metrics.json`.
    pub metric: String,
    /// The arms, in the order of the pictures.
    pub arms: Vec<DemoArm>,
    /// The held-out rows that are shown.
    pub rows: Vec<DemoRow>,
    /// What was noticed and should be said.
    pub remarks: Vec<String>,
    /// Rows of each part, epochs, seconds, and so on.
    pub facts: Vec<(String, String)>,
    /// What it ran on; see [`page::machine`].
    pub machine: Vec<(String, String)>,
}

/// One arm of the demonstration and its score.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DemoArm {
    /// `image`, `metadata`, `both`, `both, shuffled metadata`.
    pub name: String,
    /// What it reads, in a few words.
    pub reads: String,
    /// Number of held-out rows.
    pub n: usize,
    /// Mean of the metric over them.
    pub mean: f64,
}

/// One held-out row under every arm.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoRow {
    /// Title of the row, as in `row 214`.
    pub title: String,
    /// Its picture, the same for all arms.
    pub picture: Thumbnail,
    /// Its metadata as read; `None`: missing.
    pub metadata: Vec<(String, Option<String>)>,
    /// One an arm; points in pixels of the picture.
    pub outcomes: Vec<Outcome>,
}

impl DemoPage {
    /// The page as one self-contained HTML document.
    pub fn html(&self) -> String {
        let task = html! { (page::paragraph(&self.story)) (page::facts(&self.facts)) };
        let rows = html! {
            @if !self.rows.is_empty() {
                p.key {
                    "Circle: true point. Cross: predicted point. No arm has seen these rows in training."
                }
                @for (at, row) in self.rows.iter().enumerate() { (self.row_html(at, row)) }
            }
        };
        let title = "Does the table tell the network which card is meant?";
        Page::new("demo", title, &self.lead)
            .section("The task", task)
            .section("Each arm", self.arms_html())
            .section("What was noticed", page::remarks(&self.remarks))
            .section("The same rows under each arm", rows)
            .section("Environment", page::facts(&self.machine))
            .html()
    }

    fn arms_html(&self) -> Markup {
        if self.arms.is_empty() {
            return Markup::default();
        }
        let bars = self.arms.iter().map(|arm| Bar {
            name: arm.name.clone(),
            value: arm.mean,
            interval: None,
            note: String::new(),
        });
        let chart = BarChart {
            label: meaning(&self.metric),
            bars: bars.collect(),
        };
        let caption = format!("On the held-out rows; {}.", better(&self.metric).words());
        page::beside(
            &self.arms_table(),
            &page::figure(&chart.svg(), "The arms compared.", &caption),
        )
    }

    fn arms_table(&self) -> Markup {
        let columns = [
            ("arm", Align::Text),
            ("what it reads", Align::Text),
            ("n", Align::Number),
            (&*self.metric, Align::Number),
        ];
        let row = |arm: &DemoArm| {
            let (n, mean) = (count(arm.n), number(arm.mean));
            let class = self.is_best(arm).then_some("best");
            let cells = [arm.name.clone(), arm.reads.clone(), n, mean];
            page::row(&columns, class, &cells)
        };
        page::table_of_rows(&columns, &page::all(self.arms.iter().map(row)))
    }

    fn is_best(&self, arm: &DemoArm) -> bool {
        self.arms.iter().all(|other| arm.mean <= other.mean)
    }

    fn row_html(&self, at: usize, row: &DemoRow) -> Markup {
        let Thumbnail { width, height, uri } = &row.picture;
        let id = format!("picture-{at}");
        // The picture is in the page once; the other arms refer to it.
        let first = html! { image id=(id) width=(width) height=(height) href=(uri) {} };
        let again = html! { use href={ "#" (id) } {} };
        let drawing = |nth: usize, arm: &DemoArm, outcome: &Outcome| {
            let image = if nth == 0 { &first } else { &again };
            let name = format!("{}, {}", row.title, arm.name);
            outcome.over_image([*width, *height], image, &name)
        };
        html! {
            article.row {
                div { h3 { (row.title) } (metadata_table(&row.metadata)) }
                div.arms {
                    @for (nth, (arm, outcome)) in self.arms.iter().zip(&row.outcomes).enumerate() {
                        figure {
                            (drawing(nth, arm, outcome))
                            figcaption { b { (arm.name) } span { (outcome.score()) } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PointMark;

    fn page() -> DemoPage {
        let arm = |name: &str, mean| DemoArm {
            name: name.into(),
            n: 100,
            mean,
            ..DemoArm::default()
        };
        let outcome = |x| {
            Outcome::Keypoints(vec![PointMark {
                truth: Some([10.0, 10.0]),
                prediction: Some([x, 10.0]),
                ..PointMark::default()
            }])
        };
        DemoPage {
            metric: "mean_px".into(),
            arms: vec![arm("image", 20.0), arm("both", 2.0)],
            rows: vec![DemoRow {
                title: "row 3".into(),
                picture: Thumbnail {
                    width: 64,
                    height: 48,
                    uri: "data:image/png;base64,AAAA".into(),
                },
                metadata: vec![("img_source".into(), None)],
                outcomes: vec![outcome(30.0), outcome(11.0)],
            }],
            ..DemoPage::default()
        }
    }

    #[test]
    fn a_picture_is_in_the_page_once_however_many_arms() {
        let html = page().html();
        assert_eq!(html.matches("base64,AAAA").count(), 1);
        assert_eq!(html.matches("href=\"#picture-0\"").count(), 1);
        assert!(html.contains("error 20 px") && html.contains("error 1 px"));
    }

    #[test]
    fn the_best_arm_stands_out_and_all_have_their_n() {
        let html = page().html();
        assert!(html.contains("<tr class=\"best\"><th scope=\"row\">both</th>"));
        assert_eq!(html.matches("<td class=\"num\">100</td>").count(), 2);
    }
}
