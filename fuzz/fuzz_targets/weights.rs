#![no_main]
#![allow(dead_code, reason = "each target is one of those in the file")]

#[path = "../targets/network.rs"]
mod network;
#[path = "../targets/scratch.rs"]
mod scratch;

libfuzzer_sys::fuzz_target!(init: scratch::say_panics(), |input: &[u8]| network::weights_file(input));
