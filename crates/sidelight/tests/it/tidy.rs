//! What ARCHITECTURE.md promises of the sources themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in reading order: `ARCHITECTURE.md`'s table, which lists them all.
fn modules() -> Vec<String> {
    let text = fs::read_to_string(root().join("../ARCHITECTURE.md")).unwrap();
    let table = text.split("## Modules of the library").nth(1).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// The folder of the crates.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A module's file and those of the folder of its name, tests excepted, each without its tests and comments.
fn sources(file: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![file.with_extension("")];
    let mut files = vec![file.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    for path in files {
        if path.with_extension("").iter().any(|name| name == "tests") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        found.push((path, lines.collect::<Vec<_>>().join("\n")));
    }
    found
}

/// The names after `crate::` and inside `crate::{…}`.
fn used(code: &str) -> BTreeSet<&str> {
    let name = |text: &str| {
        text.find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    let mut found = BTreeSet::new();
    for text in code.split("crate::").skip(1) {
        if let Some(list) = text.strip_prefix('{') {
            let list = list.split('}').next().unwrap();
            found.extend(
                list.split(',')
                    .map(|item| item.trim())
                    .map(|item| &item[..name(item)]),
            );
        } else {
            found.insert(&text[..name(text)]);
        }
    }
    found
}

#[test]
fn a_module_uses_only_those_above_it() {
    let modules = modules();
    let place = |name: &str| modules.iter().position(|module| module == name);
    let mut n_files = 0;
    // The report's modules are pages beside each other.
    for folder in [
        "sidelight-data/src",
        "sidelight-evidence/src",
        "sidelight/src",
    ] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if path.is_dir() || name == "lib" {
                continue;
            }
            let own = place(name)
                .unwrap_or_else(|| panic!("ARCHITECTURE.md does not list the module `{name}`"));
            for (file, code) in sources(&path) {
                n_files += 1;
                for other in used(&code) {
                    let later = place(other).is_some_and(|place| place > own);
                    assert!(
                        !later,
                        "{} uses `{other}`, which comes later",
                        file.display()
                    );
                }
            }
        }
    }
    assert!(n_files > 100, "only {n_files} files were found");
}

#[test]
fn every_fusion_says_where_it_comes_from() {
    let folder = root().join("sidelight/src/network/fusion");
    let mut n = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("//! # Source\n"), "{}", path.display());
        n += 1;
    }
    assert!(n >= 8, "{n}");
}

/// All Rust sources of the workspace.
fn all_sources() -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

#[test]
fn every_invariant_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("../ARCHITECTURE.md")).unwrap();
    let section = text.split("## Invariants").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let sources = all_sources();
    for invariant in section.lines().filter(|line| line.starts_with("- **")) {
        let (_, tests) = invariant
            .split_once("*Test")
            .unwrap_or_else(|| panic!("no test holds this: {invariant}"));
        let names = tests.split('`').skip(1).step_by(2);
        for name in names.filter(|name| name.contains('_')) {
            assert!(
                exists(&sources, name),
                "there is no test `{name}`: {invariant}"
            );
        }
    }
}

/// Whether some file has a function of this name.
fn exists(sources: &[(PathBuf, String)], name: &str) -> bool {
    let function = format!("fn {name}");
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    sources
        .iter()
        .any(|(_, code)| code.split(&function).skip(1).any(ends))
}

#[test]
fn every_promise_of_reliability_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("../docs/reliability.md")).unwrap();
    let section = text.split("## Promises").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let sources = all_sources();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let mut n_rows = 0;
    // After the heads of the columns.
    for row in rows.skip(1) {
        let (_, tests) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test holds this: {row}");
        for name in names {
            assert!(exists(&sources, name), "there is no test `{name}`: {row}");
        }
        n_rows += 1;
    }
    assert!(n_rows > 30, "{n_rows}");
}

#[test]
fn what_was_read_for_the_supply_chain_is_what_is_built() {
    let text = fs::read_to_string(root().join("../docs/supply-chain.md")).unwrap();
    let lock = fs::read_to_string(root().join("../Cargo.lock")).unwrap();
    let section = text.split("## What reads bytes").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let mut n_crates = 0;
    for row in rows.skip(1) {
        let mut cells = row.split(" | ");
        let names = cells.next().unwrap().trim_start_matches("| ").split(", ");
        let versions: Vec<&str> = cells.next().unwrap().split(", ").collect();
        for (at, name) in names.enumerate() {
            // One version may be that of several crates.
            let version = versions.get(at).unwrap_or(&versions[0]);
            let found = [
                format!("name = \"{name}\"\nversion = \"{version}\"\n"),
                format!("name = \"{name}\"\nversion = \"{version}+"),
            ];
            assert!(
                found.iter().any(|found| lock.contains(found)),
                "{name} {version} is not in Cargo.lock: read the new one, then write it down"
            );
            n_crates += 1;
        }
    }
    assert!(n_crates > 30, "{n_crates}");
}

/// Nothing that lives as long as the program: what a function reads, it is given.
#[test]
fn nothing_is_global() {
    let crates = [
        "sidelight-data",
        "sidelight-evidence",
        "sidelight-report",
        "sidelight-tensor",
        "sidelight",
    ];
    for (path, text) in all_sources() {
        let of_library = crates
            .iter()
            .any(|name| path.starts_with(root().join(name).join("src")));
        for line in text.lines().filter(|_| of_library).map(str::trim_start) {
            let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
            let line = line.strip_prefix("pub ").unwrap_or(line);
            let is_global = line.starts_with("static ") || line.starts_with("thread_local!");
            assert!(!is_global, "{}: {line}", path.display());
        }
    }
}

/// Names that the house once had for things the field has a word for: ARCHITECTURE.md's glossary says which.
const BANNED_NAMES: [&str; 21] = [
    "Plan",
    "Descent",
    "Feed",
    "Shelf",
    "Journal",
    "Gaps",
    "Take",
    "Hide",
    "Together",
    "Among",
    "Reading",
    "Found",
    "again_at",
    "wind_back",
    "met_alone",
    "likeliest",
    "surprise",
    "n_looks",
    "DEALS",
    "sidelight_host",
    "descend",
];

/// Phrases that a native engineer would not write, in messages, help and documentation.
const BANNED_PHRASES: [&str; 10] = [
    "is no table that can be read",
    "It is another than it was",
    "that can be none of",
    "for ever",
    "numbers in the network",
    "What training makes small",
    "rows to learn from",
    "lose patience",
    "without looking",
    "One mark a fold",
];

#[test]
fn no_old_word_comes_back() {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    // The events of a training and of a comparison are nouns as well: what is planned.
    let is_event = |line: &str| line.contains("Event::Plan") || line.trim() == "Plan {";
    for (path, text) in all_sources() {
        if path.ends_with("tests/it/tidy.rs") {
            continue;
        }
        for line in text.lines() {
            let code = line.split("//").next().unwrap_or_default();
            if is_event(line) || code.contains('"') {
                continue;
            }
            for name in code.split(|c| !is_word(c)) {
                let is_banned = BANNED_NAMES.contains(&name);
                assert!(!is_banned, "{}: `{name}`: {}", path.display(), line.trim());
            }
        }
        no_phrase(&path, &text);
    }
    for page in pages() {
        no_phrase(&page, &fs::read_to_string(&page).unwrap());
    }
}

fn no_phrase(path: &Path, text: &str) {
    for phrase in BANNED_PHRASES {
        let is_whole = |rest: &str| !rest.starts_with(|c: char| c.is_alphabetic());
        let is_said = text.split(phrase).skip(1).any(is_whole);
        assert!(!is_said, "{}: \"{phrase}\"", path.display());
    }
}

/// The pages that a reader meets.
fn pages() -> Vec<PathBuf> {
    let home = root().join("..");
    let docs = fs::read_dir(home.join("docs")).unwrap();
    docs.map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .chain(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| home.join(name)))
        .collect()
}
