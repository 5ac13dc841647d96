//! Self-contained HTML pages.
//!
//! Plain structs in, one string out: a page makes no network request, runs no script, prints
//! well, is readable without colour and in the dark. All markup is made by `maud`, so that text from outside (names
//! of categories, files, columns) is escaped by construction.
//!
//! In reading order: [`text`] and [`number`], [`chart`] (SVG), [`overlay`]
//! (pictures with what is true and what was predicted), [`page`] (the frame), and then the pages:
//! [`RunPage`], [`ShowPage`], [`DemoPage`], [`ComparisonPage`], [`audit_page`], [`rate_page`].
//!
//! Users want the crate `sidelight`, which re-exports this one as `sidelight::report`.

#![forbid(unsafe_code)]
// What reads files and requests does not end the program: whatever cannot fail says why.
#![warn(clippy::expect_used, clippy::unreachable)]
// A number from outside is not cut off, wrapped or made another: whatever cannot be says why.
#![cfg_attr(
    not(test),
    warn(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]

mod audit_page;
pub mod chart;
mod comparison_page;
mod demo_page;
pub mod overlay;
pub mod page;
mod rate_page;
mod run_page;
mod show_page;
pub mod text;

pub use audit_page::audit_page;
pub use comparison_page::ComparisonPage;
pub use demo_page::{DemoArm, DemoPage, DemoRow};
pub use maud::Markup;
pub use overlay::{ArrowMark, Card, LabelBar, Outcome, PointMark, Thumbnail, ValueMark};
pub use rate_page::rate_page;
pub use run_page::{Curves, Detail, RunPage, best_and_worst};
pub use show_page::{ShowPage, ShowRow};
pub use sidelight_data::number;
