//! Scores of predictions: plain functions over slices, each with its definition.
