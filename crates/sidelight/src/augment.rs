//! Seeded random changes to an image, its points and its metadata; the identity when evaluating.
