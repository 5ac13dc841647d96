//! What comes with an installation: completions, manual pages, and what a binary says of itself.

use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::process::Command;

use crate::folder::{Folder, has};

#[test]
fn a_shell_is_given_every_command_and_option() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = folder.done(&format!("completions {shell}")).stdout;
        for word in ["lr-find", "completions", "overwrite", "mobilenet_v2"] {
            // Backbones are free words: no shell is told of them.
            let is_there = script.contains(word);
            assert_eq!(is_there, word != "mobilenet_v2", "{shell}: {word}");
        }
    }
    let wrong = folder.run("completions csh");
    assert_eq!(wrong.code, 2);
    has(
        &wrong.stderr,
        "[possible values: bash, elvish, fish, powershell, zsh]",
    );
}

/// The script does in bash what it is for, where there is a bash.
#[test]
#[cfg(unix)]
fn bash_completes_commands_and_values() {
    let folder = Folder::new();
    folder.write("completions.sh", &folder.done("completions bash").stdout);
    let complete = |words: &str, n: usize| {
        let line = format!(
            "source ./completions.sh && COMP_WORDS=({words}) COMP_CWORD={n} && \
             _sidelight sidelight \"${{COMP_WORDS[{n}]}}\" \"${{COMP_WORDS[{}]}}\" && echo \"${{COMPREPLY[*]}}\"",
            n - 1
        );
        let mut bash = Command::new("bash");
        let said = bash.args(["-c", &line]).current_dir(folder.path()).output();
        String::from_utf8(said.unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(complete("sidelight comp", 1), "compare completions");
    assert_eq!(complete("sidelight train --prec", 2), "--precision");
    assert_eq!(complete("sidelight train --precision b", 3), "bf16");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::new();
    let said = folder.done("man --out share/man1");
    has(&said.stderr, "pages to share/man1");
    let help = folder.done("--help").stdout;
    let listed = help.split("Commands:\n").nth(1).unwrap();
    let listed = listed.split("\n\n").next().unwrap();
    let mut n = 0;
    for name in listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        let page = folder.read(&format!("share/man1/sidelight-{name}.1"));
        has(&page, &format!(".TH sidelight-{name} 1"));
        has(&page, ".SH SYNOPSIS");
        n += 1;
    }
    assert!(n >= 19, "{n}");
    has(&folder.read("share/man1/sidelight.1"), ".TH sidelight 1");
    let train = folder.read("share/man1/sidelight-train.1");
    has(&train, "bit\\-identical results");
    has(&train, "\\-\\-resume");
}

#[test]
fn a_binary_says_how_it_was_built_and_what_it_runs_on() {
    let folder = Folder::new();
    let version = format!("sidelight {}", env!("CARGO_PKG_VERSION"));
    for line in ["--version --verbose", "--verbose --version", "-V --verbose"] {
        let said = folder.done(line).stdout;
        let names: Vec<&str> = said
            .lines()
            .skip(1)
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(said.lines().next(), Some(&*version));
        assert_eq!(
            names,
            [
                "commit",
                "target",
                "profile",
                "rustc",
                "features",
                "processor",
                "kernels",
                "threads"
            ]
        );
        has(&said, std::env::consts::ARCH);
        has(&said, "hub, ");
        let fact = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).unwrap_or_default().to_owned()
        };
        assert_ne!(fact("rustc:"), "unknown");
        assert_ne!(fact("target:"), "unknown");
        let threads = std::thread::available_parallelism().unwrap().to_string();
        assert_eq!(fact("threads:"), threads);
    }
    assert_eq!(folder.done("-V").stdout, format!("{version}\n"));
    assert_eq!(folder.run("--verbose backbones").code, 2);
}

/// A file of the repository.
fn of_repository(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name);
    fs::read_to_string(path).unwrap()
}

#[test]
fn binstall_asks_for_the_archives_of_a_release() {
    let manifest = of_repository("crates/sidelight-cli/Cargo.toml");
    let packs = of_repository(".ci/archive");
    has(&packs, "name=\"sidelight-$version-$target\"");
    let folder = "sidelight-{ version }-{ target }";
    has(
        &manifest,
        &format!("bin-dir = \"{folder}/{{ bin }}{{ binary-ext }}\""),
    );
    for (suffix, packed) in [(".tar.gz", "$name.tar.gz"), (".zip", "$name.zip")] {
        has(&manifest, &format!("/v{{ version }}/{folder}{suffix}\""));
        has(&packs, packed);
    }
    // Every one of them is on the page that says which to take.
    let (release, page) = (
        of_repository(".github/workflows/release.yml"),
        of_repository("docs/install.md"),
    );
    let targets: Vec<&str> = release
        .split("target: ")
        .filter_map(|rest| rest.split(" }").next())
        .filter(|target| target.matches('-').count() >= 2 && !target.contains('\n'))
        .collect();
    assert_eq!(targets.len(), 5, "{targets:?}");
    for target in targets {
        has(&page, &format!("`sidelight-VERSION-{target}."));
    }
}
