//! What the program says of itself.

use crate::folder::Folder;

const COMMANDS: [&str; 20] = [
    "demo",
    "init",
    "import",
    "check",
    "audit",
    "lr-find",
    "train",
    "compare",
    "eval",
    "predict",
    "features",
    "show",
    "explain",
    "serve",
    "export",
    "inspect",
    "backbones",
    "schema",
    "completions",
    "man",
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

    Data goes to stdout, messages to stderr. Exit codes: 0 success; 1 the answer is
    no (`check` found errors, `audit` a column to drop, `lr-find` no rate, `predict`
    and `features` rows they could not read); 2 failure.

    Usage: sidelight [OPTIONS] <COMMAND>

    Commands:
      demo         Generate a data set and show on it what metadata adds
      init         Inspect a table and write a sidelight.toml for it
      import       Make a table of the points in files of an annotation tool
      check        List every problem with a table and its images
      audit        Advise which columns to keep, before training
      lr-find      Suggest a learning rate
      train        Train a model from a sidelight.toml
      compare      Test whether the metadata helps
      eval         Evaluate a trained model
      predict      Predict every row of a table with a trained model
      features     Write what the backbone says of each image, for other tools
      show         Show rows as the network sees them, with a run's predictions
      explain      Explain a trained model's predictions
      serve        Serve trained models over HTTP: a web page and a JSON API
      export       Export a trained model: ONNX, safetensors, a folder for the hub
      inspect      List a network's layers, or the tensors in a weights file
      backbones    List the backbones that `model.backbone` accepts
      schema       Print the JSON Schema of sidelight.toml, for editors
      completions  Print completions for a shell
      man          Write manual pages

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    General:
      -q, --quiet
              Print only results, warnings and errors

          --verbose
              With --version: also the build, and what this machine can do

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
    Test whether the metadata helps

    Usage: sidelight compare [OPTIONS] --out <DIR> <CONFIG>

    Arguments:
      <CONFIG>  Configuration file, as `sidelight init` writes it

    Options:
      -h, --help  Print help (see more with '--help')

    Output:
          --out <DIR>        Folder of the comparison
          --overwrite        Delete an earlier comparison in --out and start over
          --format <FORMAT>  Format of the table printed to stdout [default: text]
                             [possible values: text, json, csv]

    Comparison:
          --arms <ARM,…>   Arms to compare; default: all arms of one fusion
          --folds <N>      Folds: rows are divided into N parts; each is held out
                           once [default: 5]
          --seeds <N>      Repeats: fold assignments, each with a seed of its own
                           [default: 1]
          --quick          Train the head only, on cached features, without
                           augmentation
          --metric <NAME>  Metric to compare by; default: the task's headline metric

    Sharing the work:
          --jobs <I/N>  Run only the I-th of N shares of the trainings
          --merge       Train nothing; combine the results of all shares

    Configuration:
          --set <FIELD=VALUE>  Override a field of the configuration; repeatable

    Machine:
          --threads <N>            CPU threads; 0 for one per core [default: 0]
          --precision <PRECISION>  Precision of convolutions; default: as configured
                                   [possible values: f32, bf16]
          --cache <DIR|none>       Folder for cached features of frozen layers

    General:
      -q, --quiet  Print only results, warnings and errors
    ");
}

#[test]
fn the_version_is_one_line() {
    let said = Folder::new().done("--version").stdout;
    assert_eq!(said, format!("sidelight {}\n", env!("CARGO_PKG_VERSION")));
}
