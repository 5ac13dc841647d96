//! Why a trained model says what it says: which column matters, how much is image and how much metadata, what a
//! column would change, where it looks.
//!
//! | question | answer |
//! |---|---|
//! | what is a column worth on held-out rows? | [`importance()`]: its cells shuffled among rows |
//! | how much of a prediction comes from the image, how much from the metadata? | [`shares()`]: Shapley values of two players |
//! | what if a column had another value? | [`what_if()`]: the same image, one column varied |
//! | where in the image? | [`grad_cam()`] |
//!
//! All of it runs on [`Prepared`] rows: what comes before the network reads metadata is computed once. A prediction
//! is explained by one number of it, its [`Quantity`].

mod grad_cam;
mod importance;
#[cfg(feature = "report")]
mod page;
mod prepared;
mod quantity;
mod shares;
mod what_if;

pub use grad_cam::{Heat, Looked, grad_cam, grad_cam_of_rows, last_map};
pub use importance::{Change, Importance, importance};
#[cfg(feature = "report")]
pub use page::{ExplainPage, ExplainedRow};
pub use prepared::{Picture, Prepared};
pub use quantity::Quantity;
pub use shares::{MeanShare, Share, mean_share, shares};
pub use what_if::{Curve, CurvePoint, training_range, what_if};
