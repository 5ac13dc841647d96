//! What the program says of itself.

use crate::folder::Folder;

const COMMANDS: [&str; 15] = [
    "demo",
    "init",
    "check",
    "audit",
    "lr-find",
    "train",
    "compare",
    "eval",
    "predict",
    "show",
    "explain",
    "serve",
    "export",
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
    insta::assert_snapshot!(Folder::new().done("--help").stdout, @r#"
    Pretrained CNNs that also read the metadata of each image

    stdout is data, stderr is conversation. Exit codes: 0 done, 1 the answer is no
    (`check` found problems, `audit` a column to drop, `predict` a row that it could
    not), 2 could not.

    Usage: sidelight [OPTIONS] <COMMAND>

    Commands:
      demo       Make a data set and show on it what metadata can do
      init       Look at a table and write a sidelight.toml for it
      check      List every problem of a table and its images
      audit      Say of each column, before training, whether to keep it
      lr-find    Find a learning rate before training
      train      Train a model as a sidelight.toml says
      compare    Say whether the metadata helps
      eval       Score a trained model
      predict    Apply a trained model to the rows of a table
      show       Show rows as the network gets them, with predictions for a run
      explain    Say why a trained model says what it says
      serve      Serve trained models: a page for people, JSON for programs
      export     Write a trained model for other programs: ONNX, safetensors
      inspect    List a network's layers, or the contents of a weights file
      backbones  List the backbones that `model.backbone` can name

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    General:
      -q, --quiet
              Say nothing but results, warnings and errors

    Start with `sidelight demo`, or with your own table:
      sidelight init metadata.csv --target price
      sidelight check sidelight.toml
      sidelight train sidelight.toml --out runs/a
    "#);
}

#[test]
fn the_help_of_train_says_when_to_want_a_flag_and_groups_them() {
    let help = Folder::new().done("train --help").stdout;
    for heading in ["Output:", "Configuration:", "Machine:", "General:"] {
        assert!(help.contains(&format!("\n{heading}\n")), "{help}");
    }
    assert!(
        help.contains("Use it after Ctrl-C, a crash or a power cut."),
        "{help}"
    );
}

#[test]
fn the_help_of_compare() {
    insta::assert_snapshot!(Folder::new().done("compare -h").stdout, @r"
    Say whether the metadata helps

    Usage: sidelight compare [OPTIONS] --out <DIR> <CONFIG>

    Arguments:
      <CONFIG>  The configuration

    Options:
      -h, --help  Print help (see more with '--help')

    Output:
          --out <DIR>        Folder of the comparison
          --overwrite        Delete an earlier comparison in --out and begin anew
          --format <FORMAT>  How the table of arms is printed [default: text]
                             [possible values: text, json, csv]

    Comparison:
          --arms <ARM,…>   Arms to compare; default: all of one fusion
          --folds <N>      Parts that rows are divided into; each is held out once
                           [default: 5]
          --seeds <N>      Repeat with so many divisions and seeds [default: 1]
          --quick          Keep the pretrained part frozen and look at each image
                           once
          --metric <NAME>  Compare by another metric than the task's own

    Sharing the work:
          --jobs <I/N>  Do only the I-th of N shares of the trainings
          --merge       Train nothing; join what the shares have done

    Configuration:
          --set <FIELD=VALUE>  Change a field of the configuration; can be repeated

    Machine:
          --threads <N>            Cores to use, 0: all [default: 0]
          --device <DEVICE>        Device to compute on [default: cpu] [possible
                                   values: cpu]
          --precision <PRECISION>  Precision of the convolutions; default: as
                                   configured [possible values: f32, bf16]
          --cache <DIR|none>       Folder that keeps what frozen layers say of each
                                   image

    General:
      -q, --quiet  Say nothing but results, warnings and errors
    ");
}

#[test]
fn the_version_is_one_line() {
    let said = Folder::new().done("--version").stdout;
    assert_eq!(said, format!("sidelight {}\n", env!("CARGO_PKG_VERSION")));
}
