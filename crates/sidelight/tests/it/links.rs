//! Every relative link of the pages (`*.md`) leads to a file, and every anchor to a heading.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository's folder.
fn root() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    crates.canonicalize().unwrap()
}

/// All pages, without what was built, made by a run, or belongs to a tool.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let is_hidden = name.starts_with('.') && name != ".github";
            if path.is_dir() {
                if !is_hidden && !["target", "runs", "demo"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found
}

/// The page without blocks of code.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap();
    let mut is_code = false;
    let mut kept = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        if !is_code && !is_fence {
            kept.push_str(line);
            kept.push('\n');
        }
        is_code ^= is_fence;
    }
    kept
}

/// What stands in the parentheses of `[…](…)`, code spans excepted, and in `src="…"` and `href="…"`.
fn links(prose: &str) -> Vec<String> {
    let text: String = prose.split('`').step_by(2).collect();
    let between = |start: &str, end: char| {
        let parts = text.split(start).skip(1);
        parts
            .filter_map(|part| part.split(end).next())
            .filter_map(|link| link.split_whitespace().next())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    [
        between("](", ')'),
        between("src=\"", '"'),
        between("href=\"", '"'),
    ]
    .concat()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(prose: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    for heading in headings {
        let slug: String = heading
            .trim_start_matches('#')
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || ['-', '_', ' '].contains(c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let same = found
            .iter()
            .filter(|anchor| {
                let rest = anchor.strip_prefix(slug.as_str());
                rest.is_some_and(|rest| {
                    rest.is_empty()
                        || rest
                            .strip_prefix('-')
                            .is_some_and(|n| n.parse::<u32>().is_ok())
                })
            })
            .count();
        found.push(if same == 0 {
            slug
        } else {
            format!("{slug}-{same}")
        });
    }
    found
}

/// Why a link of `page` leads nowhere, if it does.
fn broken(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() {
        page.to_path_buf()
    } else {
        page.parent().unwrap().join(file)
    };
    if !target.exists() {
        return Some(format!("{}: no file `{link}`", page.display()));
    }
    let is_page = target
        .extension()
        .is_some_and(|extension| extension == "md");
    let is_known = anchor.is_empty()
        || !is_page
        || anchors(&prose(&target)).iter().any(|known| known == anchor);
    (!is_known).then(|| format!("{}: no heading `{link}`", page.display()))
}

#[test]
fn every_relative_link_and_anchor_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 10, "only {} pages were found", pages.len());
    let mut problems = Vec::new();
    for page in &pages {
        for link in links(&prose(page)) {
            problems.extend(broken(page, &link));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn broken_links_are_found() {
    let page = root().join("README.md");
    assert_eq!(
        links("[a](b.md#c \"t\") `[x](y)` <img src=\"p.png\">"),
        ["b.md#c", "p.png"]
    );
    assert_eq!(
        anchors("# One, *two*!\n## A b\n## A b\n"),
        ["one-two", "a-b", "a-b-1"]
    );
    assert_eq!(broken(&page, "LICENSE"), None);
    assert!(broken(&page, "docs/absent.md").unwrap().contains("no file"));
    assert!(broken(&page, "#absent").unwrap().contains("no heading"));
}
