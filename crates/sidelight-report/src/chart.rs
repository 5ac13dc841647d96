//! Charts as inline SVG, drawn with the page's own colours so that they follow light and dark.
//!
//! Series differ by marker and dash as well as by colour. Each chart describes itself in words
//! (`aria-label`) and each point in a tooltip (`<title>`), without scripts.
//!
//! Text is set at 11 px in a drawing a few hundred pixels wide; figures are laid out so that
//! they are shown at about that size on a phone and on a desk.

mod bar;
mod confusion;
mod dots;
mod histogram;
mod interval;
mod line;
mod plot;
mod reliability;
mod scale;
mod scatter;

pub use bar::{Bar, BarChart};
pub use confusion::ConfusionMatrix;
pub use dots::{DotPlot, DotRow};
pub use histogram::Histogram;
pub use interval::{Interval, IntervalPlot};
pub use line::{LineChart, Series};
pub use reliability::ReliabilityDiagram;
pub use scale::{Scale, ScaleKind};
pub use scatter::ScatterPlot;
