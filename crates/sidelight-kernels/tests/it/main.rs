//! Every kernel on every path against plain loops.

mod conv;
mod layers;
mod reference;
