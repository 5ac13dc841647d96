//! A trained run applied to rows.
