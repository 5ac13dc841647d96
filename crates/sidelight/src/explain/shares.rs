//! How much of a prediction comes from the image and how much from the metadata.
//!
//! Image and metadata are two players of a game whose worth is the explained number f of the prediction. Without
//! the image the network sees every pixel of the mean colour (0 after normalisation); without the metadata every
//! column is missing. The Shapley value of a player is what it adds, averaged over both orders of joining:
//!
//! > image = ½ \[f(image) − f(nothing)\] + ½ \[f(both) − f(metadata)\]
//!
//! and likewise for the metadata, so that image + metadata = f(both) − f(nothing).
//!
//! # Source
//!
//! Shapley 1953, "A value for n-person games"; Lundberg & Lee 2017, "A unified approach to interpreting model
//! predictions", arXiv:1705.07874, eq. 4, with the two inputs as the features and the baseline above in place of an
//! expectation. Another baseline gives other shares.

use super::{Picture, Prepared, Quantity};

/// The shares of one prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Position in the data set.
    pub row: usize,
    /// What is explained.
    pub quantity: Quantity,
    /// Its value with neither image nor metadata.
    pub baseline: f64,
    /// Its value with both.
    pub prediction: f64,
    /// What the image adds.
    pub image: f64,
    /// What the metadata adds.
    pub metadata: f64,
}

/// Shares over many rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanShare {
    /// Number of rows that the means are over.
    pub rows: usize,
    /// Mean size of what the image adds, whatever its sign.
    pub image: f64,
    /// Mean size of what the metadata adds.
    pub metadata: f64,
}

impl MeanShare {
    /// The metadata's part of both, in [0, 1]; `None` where neither adds anything.
    pub fn of_metadata(&self) -> Option<f64> {
        let both = self.image + self.metadata;
        (both > 0.0).then(|| self.metadata / both)
    }
}

/// The shares of every row that can be predicted, in order; of points all of them, or the one of this number.
pub fn shares(rows: &Prepared<'_>, point: Option<usize>) -> Vec<Share> {
    let missing = rows.all_missing();
    let both = rows.predict(Picture::Own, &rows.metadata);
    let image = rows.predict(Picture::Own, &missing);
    let metadata = rows.predict(Picture::Blank, &rows.metadata);
    let neither = rows.predict(Picture::Blank, &missing);
    let share = |row: usize| {
        let (both, neither) = (both[row].as_ref()?, neither[row].as_ref()?);
        let (image, metadata) = (image[row].as_ref()?, metadata[row].as_ref()?);
        let quantity = Quantity::from_predictions(both, neither, point);
        let [both, image, metadata, neither] =
            [both, image, metadata, neither].map(|prediction| quantity.read(prediction));
        Some(Share {
            row,
            quantity,
            baseline: neither,
            prediction: both,
            image: 0.5 * (image - neither) + 0.5 * (both - metadata),
            metadata: 0.5 * (metadata - neither) + 0.5 * (both - image),
        })
    };
    (0..rows.dataset.len()).filter_map(share).collect()
}

/// The mean over rows; `None` for none.
pub fn mean_share(shares: &[Share]) -> Option<MeanShare> {
    let n = shares.len() as f64;
    let mean =
        |of: &dyn Fn(&Share) -> f64| shares.iter().map(|share| of(share).abs()).sum::<f64>() / n;
    (!shares.is_empty()).then(|| MeanShare {
        rows: shares.len(),
        image: mean(&|share| share.image),
        metadata: mean(&|share| share.metadata),
    })
}
