//! What the program says of itself.

use crate::folder::Folder;

const COMMANDS: [&str; 9] = [
    "demo",
    "init",
    "check",
    "train",
    "eval",
    "predict",
    "show",
    "inspect",
    "backbones",
];

#[test]
fn every_command_has_a_short_help_a_long_one_and_an_example() {
    let folder = Folder::new();
    let all = folder.done("--help").stdout;
    for name in COMMANDS {
        assert!(all.contains(&format!("\n  {name}")), "{name} is not listed");
        let short = folder.done(&format!("{name} -h")).stdout;
        let long = folder.done(&format!("{name} --help")).stdout;
        assert!(
            long.contains(&format!("Example: sidelight {name}")),
            "{long}"
        );
        assert!(long.len() >= short.len());
        for line in short.lines().chain(long.lines()) {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
    }
}

#[test]
fn a_command_that_does_not_exist_is_named_with_the_nearest() {
    let said = Folder::new().run("trian");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains("unrecognized subcommand 'trian'") && said.stderr.contains("'train'"),
        "{}",
        said.stderr
    );
}

#[test]
fn the_overview_fits_a_screen() {
    insta::assert_snapshot!(Folder::new().done("--help").stdout, @"");
}

#[test]
fn the_help_of_train() {
    insta::assert_snapshot!(Folder::new().done("train --help").stdout, @"");
}

#[test]
fn the_version_is_one_line() {
    let said = Folder::new().done("--version").stdout;
    assert_eq!(said, format!("sidelight {}\n", env!("CARGO_PKG_VERSION")));
}
