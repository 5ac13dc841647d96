//! Self-contained HTML pages.
//!
//! Plain structs in, one string out: a page makes no network request, runs no script, prints
//! well, is readable without colour and in the dark. Every text that came from outside (names
//! of categories, files, columns) is [escaped](escape()).
//!
//! In reading order: [`escape`](mod@escape) and [`number`] (text), [`chart`] (SVG), [`overlay`]
//! (pictures with what is true and what was predicted), [`page`] (the frame), and then the pages:
//! [`RunPage`], [`ShowPage`], [`DemoPage`], [`ComparisonPage`], [`audit_page`], [`rate_page`].
//!
//! Users want the crate `sidelight`, which re-exports this one as `sidelight::report`.

/// Writes to a `String`, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {
        std::fmt::Write::write_fmt($out, format_args!($($arg)*))
            .expect("a string takes whatever is written to it")
    };
}
pub(crate) use put;

mod audit_page;
pub mod chart;
mod comparison_page;
mod demo_page;
pub mod escape;
mod metric_name;
pub mod number;
pub mod overlay;
pub mod page;
mod rate_page;
mod run_page;
mod show_page;

pub use audit_page::audit_page;
pub use comparison_page::{
    ArmRole, ArmRow, ComparisonPage, Difference, Doubt, MissingnessCurve, ReliabilityCurve,
    SubgroupChange, SubgroupTable, Verdict,
};
pub use demo_page::{DemoArm, DemoPage, DemoRow};
pub use escape::escape;
pub use metric_name::MetricName;
pub use overlay::{Card, LabelBar, Outcome, PointMark, Thumbnail, ValueMark};
pub use rate_page::rate_page;
pub use run_page::{Curves, Detail, MetricRow, PartTable, RunPage, best_and_worst};
pub use show_page::{Normalization, ShowPage, ShowRow, TargetSlot};
