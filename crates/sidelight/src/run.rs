//! The run folder: which files there are, what they mean, written whole or not at all.
