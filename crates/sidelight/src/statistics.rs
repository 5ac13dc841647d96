//! Paired differences, intervals, tests.
