//! Batches on the host, read by all cores, in an order that depends on the seed alone.

use crate::image::Affine;

/// A batch before it becomes tensors.
#[derive(Debug, Clone, Default)]
pub struct HostBatch {
    /// Position in the data set of each row.
    pub rows: Vec<usize>,
    /// Side in pixels.
    pub size: usize,
    /// `[row][size][size][3]`, normalised (RGB in [0, 1], minus mean, over sd). Empty where the arm reads no image.
    pub images: Vec<f32>,
    /// `[row][d_dense]`.
    pub dense: Vec<f32>,
    /// `[row][n_embedded]`.
    pub codes: Vec<u32>,
    /// `[row][d_target]`: points in [-1, 1] of the input square. Empty where there are no targets.
    pub targets: Vec<f32>,
    /// `[row][d_target]`: 1 known, 0 missing or outside the frame.
    pub mask: Vec<f32>,
    /// From pixels of the stored image to pixels of the input square, one a row: its inverse maps predictions back.
    pub to_input: Vec<Affine>,
}
