//! What `sidelight --version --verbose` says: how this binary was built, and what the machine can do.

use std::fmt::Write as _;

use sidelight::tensor::SimdPath;

/// What the command line always has of the library (`Cargo.toml`).
const FEATURES: [&str; 5] = ["hub", "parquet", "remote", "report", "xlsx"];

/// A line for each fact, the name and the version first.
pub(crate) fn verbose() -> String {
    let threads = std::thread::available_parallelism();
    let facts = [
        ("commit", env!("SIDELIGHT_BUILD_COMMIT").to_owned()),
        ("target", env!("SIDELIGHT_BUILD_TARGET").to_owned()),
        ("profile", env!("SIDELIGHT_BUILD_PROFILE").to_owned()),
        ("rustc", env!("SIDELIGHT_BUILD_RUSTC").to_owned()),
        ("features", features()),
        ("processor", instructions()),
        ("kernels", kernels().to_owned()),
        (
            "threads",
            threads.map_or("unknown".into(), |n| n.to_string()),
        ),
    ];
    let mut text = format!("sidelight {}\n", env!("CARGO_PKG_VERSION"));
    for (name, fact) in facts {
        // A `String` takes all that is written to it.
        let _ = writeln!(text, "{:<11}{fact}", format!("{name}:"));
    }
    text
}

/// The features that it was built with, and the optional ones that it was not.
fn features() -> String {
    let optional = [
        ("heic", cfg!(feature = "heic")),
        ("mpi", cfg!(feature = "mpi")),
    ];
    let names = |wanted: bool| {
        let of_kind =
            move |(name, is_on): &(&'static str, bool)| (*is_on == wanted).then_some(*name);
        optional.iter().filter_map(of_kind)
    };
    let mut with: Vec<&str> = FEATURES.into_iter().chain(names(true)).collect();
    with.sort_unstable();
    let without: Vec<&str> = names(false).collect();
    match without.is_empty() {
        true => with.join(", "),
        false => format!("{} (without {})", with.join(", "), without.join(", ")),
    }
}

/// Instruction sets that this processor has, of those that make a difference.
fn instructions() -> String {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512dq", is_x86_feature_detected!("avx512dq")),
        ("avx512vl", is_x86_feature_detected!("avx512vl")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    #[cfg(target_arch = "aarch64")]
    let found = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("bf16", std::arch::is_aarch64_feature_detected!("bf16")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found: [(&str, bool); 0] = [];
    let names: Vec<&str> = found
        .into_iter()
        .filter_map(|(name, is_there)| is_there.then_some(name))
        .collect();
    match names.is_empty() {
        true => std::env::consts::ARCH.to_owned(),
        false => format!("{}: {}", std::env::consts::ARCH, names.join(" ")),
    }
}

/// Which of its kernels this machine runs.
fn kernels() -> &'static str {
    match SimdPath::best() {
        SimdPath::Avx512Bf16 => "AVX-512 with bf16",
        SimdPath::Avx512 => "AVX-512",
        SimdPath::Avx2 => "AVX2",
        SimdPath::Portable => "portable",
    }
}
