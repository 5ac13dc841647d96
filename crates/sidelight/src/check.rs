//! Every problem of table and images, listed at once.
