//! Why a trained model says what it says: which column matters, how much is image and how much metadata, what a
//! column would change, where it looks.
//!
//! | question | answer |
//! |---|---|
//! | what is a column worth on held-out rows? | [`importance()`]: its cells shuffled among rows |
//! | how much of a prediction comes from the image, how much from the metadata? | [`shares()`]: Shapley values of two players |
//! | what if a column had another value? | [`what_if()`]: the same image, one column varied |
//! | where in the image? | [`occlusion()`]: how the prediction changes as each place is hidden |
//! | which column moves a point, and where to? | [`arrows()`]: the same image, one column missing |
//!
//! All of it runs on [`Prepared`] rows: what comes before the network reads metadata is computed once. A prediction
//! is explained by one number of it, its [`Quantity`].

mod arrows;
mod importance;
mod occlusion;
#[cfg(feature = "report")]
mod page;
mod prepared;
mod quantity;
mod shares;
mod what_if;

pub use arrows::{Arrow, arrows};
pub use importance::{Change, Importance, importance};
pub use occlusion::{Heat, Looked, occlusion};
#[cfg(feature = "report")]
pub use page::{ExplainPage, ExplainedRow};
pub use prepared::{Picture, Prepared};
pub use quantity::{Quantity, point_number};
pub use shares::{MeanShare, Share, mean_share, shares};
pub use what_if::{Curve, CurvePoint, training_range, what_if};
