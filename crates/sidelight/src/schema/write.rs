//! A `sidelight.toml` that a person can read and edit, every line with the reason for it.
