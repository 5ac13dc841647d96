//! The network: plain data, a tree of named layers.
