//! What goes wrong is said: what, where, why, and what to do next; and the exit code is 2, or 1 where the answer is no.

use std::fs;

use sidelight::train::checkpoint::{Checkpoint, Division};

use crate::folder::Folder;

/// The whole message of a command that could not.
fn refused(folder: &Folder, line: &str) -> String {
    let said = folder.run(line);
    assert_eq!(
        said.code, 2,
        "sidelight {line}\n{}{}",
        said.stdout, said.stderr
    );
    assert_eq!(said.stdout, "", "sidelight {line}");
    said.stderr
}

#[test]
fn a_missing_table() {
    let said = refused(&Folder::new(), "init nowhere.csv --target price");
    insta::assert_snapshot!(said, @r#"
    error: cannot read nowhere.csv
      caused by: No such file or directory (os error 2)
    "#);
}

/// Started by `mpirun`, a program without MPI would train as many models at once in one folder.
#[cfg(not(feature = "mpi"))]
#[test]
fn mpirun_without_the_feature_is_refused_by_one_process_for_all() {
    let folder = Folder::with_houses();
    let said = |rank: &str, code: i32| {
        let mut command = folder.command("train houses.toml --out a");
        let ranks = [
            ("OMPI_COMM_WORLD_SIZE", "4"),
            ("OMPI_COMM_WORLD_RANK", rank),
        ];
        let output = command.envs(ranks).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    insta::assert_snapshot!(said("0", 2), @r#"
    error: mpirun started 4 processes, but this program was built without MPI: each would do all of the work

    hint: build it with `cargo build --release --features mpi` (this needs an MPI library, such as `libopenmpi-dev`, and `libclang-dev`), or run it without mpirun
    "#);
    // `mpirun` ends all as soon as one fails: the others do not, so that this one is heard.
    assert_eq!(said("1", 0), "");
    assert!(!folder.exists("a"));
}

#[test]
fn a_missing_configuration() {
    insta::assert_snapshot!(refused(&Folder::new(), "train nowhere.toml --out a"), @r#"
    error: cannot read nowhere.toml
      caused by: No such file or directory (os error 2)
    "#);
}

#[test]
fn a_target_that_is_not_a_column() {
    let folder = Folder::with_houses();
    insta::assert_snapshot!(refused(&folder, "init houses.csv --target prise"), @r#"
    error: no column `prise` in houses.csv

    hint: did you mean `price`?
    "#);
}

#[test]
fn an_unknown_field_of_the_configuration() {
    let folder = Folder::with_houses();
    folder.write(
        "houses.toml",
        &folder.read("houses.toml").replace("epochs", "epohcs"),
    );
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a"), @r#"
    error: houses.toml, line 13: no field `train.epohcs`

    hint: did you mean `train.epochs`?
    "#);
}

#[test]
fn a_value_that_a_field_cannot_take() {
    let folder = Folder::with_houses();
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a --set model.arm=bth"), @r#"
    error: houses.toml: `model.arm`: unknown value `bth`

    hint: did you mean `both`?
    "#);
}

#[test]
fn a_set_without_an_equals_sign() {
    let folder = Folder::with_houses();
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a --set train.epochs"), @r#"
    error: `train.epochs` is not of the form `section.field=value`

    hint: as in `train.epochs=5` or `metadata."exif.ExposureTime"=continuous`
    "#);
}

#[test]
fn a_set_of_an_unknown_field() {
    let folder = Folder::with_houses();
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a --set train.epoch=3"), @r#"
    error: houses.toml: no field `train.epoch`

    hint: did you mean `train.epochs`?
    "#);
}

#[test]
fn an_unknown_backbone() {
    let folder = Folder::with_houses();
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a --set model.backbone=resnet81"), @r#"
    error: no backbone `resnet81`

    hint: did you mean `resnet18`?
    "#);
}

#[test]
fn an_image_that_is_not_there() {
    let folder = Folder::with_houses();
    fs::remove_file(folder.path().join("3.png")).unwrap();
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a --quiet"), @r#"
    error: houses.csv, row 4: cannot use its image
      caused by: cannot read 3.png
      caused by: No such file or directory (os error 2)
    "#);
}

#[test]
fn an_image_that_is_cut_short() {
    let folder = Folder::with_houses();
    let whole = folder.read_bytes("3.png");
    folder.write_bytes("3.png", &whole[..whole.len() / 2]);
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a --quiet"), @r#"
    error: houses.csv, row 4: cannot use its image
      caused by: 3.png: the PNG image is truncated after 134 bytes

    hint: the file is incomplete: copy it again from its source, or leave its row out
    "#);
}

#[test]
fn a_cell_that_is_not_a_number() {
    let folder = Folder::with_houses();
    folder.write(
        "houses.csv",
        &folder
            .read("houses.csv")
            .replace("4.png,128,4,", "4.png,128,lots,"),
    );
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a"), @r#"
    error: houses.csv, row 5 (line 6), column `beds`: expected a number, found `lots`

    hint: if it means "missing", add "lots" to `missing` of the column; `sidelight check` lists all such cells
    "#);
}

#[test]
fn a_metadata_column_that_is_not_there() {
    let folder = Folder::with_houses();
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a --set metadata.bedz=continuous"), @r#"
    error: no column `bedz` in houses.csv

    hint: did you mean `beds`?
    "#);
}

#[test]
fn an_output_folder_that_holds_other_files() {
    let folder = Folder::with_houses();
    folder.write("a/notes.txt", "mine");
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a"), @r#"
    error: a already holds a/notes.txt, which is not known to be Sidelight's

    hint: choose a new or an empty folder with --out; what is replaced has the mark of a run (`.sidelight-run`) and nothing else in it
    "#);
    assert_eq!(folder.read("a/notes.txt"), "mine");
}

#[test]
fn an_output_folder_below_a_file() {
    let folder = Folder::with_houses();
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out houses.csv/a"), @r#"
    error: cannot write houses.csv/a
      caused by: Not a directory (os error 20)
    "#);
}

#[test]
fn a_run_that_is_no_run() {
    let folder = Folder::with_houses();
    fs::create_dir(folder.path().join("a")).unwrap();
    insta::assert_snapshot!(refused(&folder, "eval a"), @r#"
    error: a is not a run: it has no `config.toml`

    hint: a run is the folder that `sidelight train … --out FOLDER` writes
    "#);
    insta::assert_snapshot!(refused(&folder, "predict nowhere houses.csv --out p.csv"), @r#"
    error: cannot read nowhere
      caused by: No such file or directory (os error 2)
    "#);
}

#[test]
fn weights_that_are_not_there() {
    let folder = Folder::with_houses();
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a --set model.weights=w.safetensors"), @r#"
    error: cannot read w.safetensors
      caused by: No such file or directory (os error 2)
    "#);
}

#[test]
fn weights_that_are_cut_short() {
    let folder = Folder::with_houses();
    folder.write_bytes(
        "w.safetensors",
        b"\x40\x00\x00\x00\x00\x00\x00\x00{\"a\":{\"dtype\":\"F32\"",
    );
    insta::assert_snapshot!(refused(&folder, "inspect w.safetensors"), @r#"
    error: cannot read weights from w.safetensors: not whole safetensors: invalid header length

    hint: weights are read from `.safetensors` and from PyTorch's `.pth` or `.pt`; fetch the file again if it was cut short
    "#);
}

#[test]
fn weights_of_another_network() {
    let folder = Folder::with_houses();
    let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let length = (header.len() as u64).to_le_bytes();
    folder.write_bytes("w.safetensors", &[&length[..], header, &[0; 4]].concat());
    let said = refused(
        &folder,
        "train houses.toml --out a --set model.weights=w.safetensors",
    );
    assert!(
        said.starts_with("error: weights in w.safetensors do not fit the network: missing `")
            && said.contains("; unexpected `a`")
            && said.contains("hint: is `model.backbone` the network that the file was made for?"),
        "{said}"
    );
}

#[test]
fn weights_that_would_run_a_program() {
    let folder = Folder::with_houses();
    // What pickle makes of an object whose `__reduce__` is `(os.system, ("touch executed",))`.
    folder.write_bytes(
        "w.pth",
        b"\x80\x02cposix\nsystem\nX\x0e\x00\x00\x00touch executed\x85R.",
    );
    insta::assert_snapshot!(refused(&folder, "train houses.toml --out a --set model.weights=w.pth"), @r#"
    error: cannot read weights from w.pth: it holds no tensors, but the Python object `posix.system`, which was not executed

    hint: weights are read from `.safetensors` and from PyTorch's `.pth` or `.pt`; fetch the file again if it was cut short
    "#);
    assert!(!folder.exists("executed"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full() {
    let said =
        Folder::with_houses().run("init houses.csv --target price --out /dev/full --overwrite");
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.stderr, @r#"
    error: cannot write /dev/full
      caused by: No space left on device (os error 28)

    hint: the disk is full: free some space, or choose another disk
    "#);
}

#[test]
fn an_init_that_would_overwrite() {
    let folder = Folder::with_houses();
    insta::assert_snapshot!(refused(&folder, "init houses.csv --target price --out houses.toml"), @r#"
    error: houses.toml already exists

    hint: choose another file with --out, or replace it with --overwrite
    "#);
}

#[test]
fn a_demonstration_in_a_folder_of_something_else() {
    let folder = Folder::new();
    folder.write("demo/notes.txt", "mine");
    insta::assert_snapshot!(refused(&folder, "demo"), @r#"
    error: demo already holds other files

    hint: choose another folder with --out, or delete this one
    "#);
}

#[test]
fn a_flag_that_does_not_exist() {
    let said = refused(
        &Folder::with_houses(),
        "train houses.toml --out a --epochs 3",
    );
    assert!(
        said.starts_with("error: unexpected argument '--epochs' found"),
        "{said}"
    );
}

#[test]
fn an_escape_sequence_in_a_name() {
    let said = Folder::new().run("train a\u{1b}[31mb.toml --out a");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains("a\u{fffd}[31mb.toml"),
        "{}",
        said.stderr
    );
    assert!(!said.stderr.contains('\u{1b}'), "{}", said.stderr);
}

#[test]
fn overwriting_a_persons_folder() {
    let folder = Folder::with_houses();
    folder.write("p/checkpoint/state.json", "mine");
    folder.write("p/config.toml", "mine = 1");
    folder.write("p/metrics.json", "{}");
    for how in ["--overwrite", "--resume", ""] {
        let said = folder.run(&format!("train houses.toml --out p {how}"));
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(
            said.stderr.contains("which is not known to be Sidelight's"),
            "{}",
            said.stderr
        );
        assert_eq!(folder.read("p/config.toml"), "mine = 1");
        assert!(folder.exists("p/checkpoint/state.json") && !folder.exists("p/.sidelight-run"));
    }
    let said = folder.run("compare houses.toml --out p --overwrite");
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert_eq!(folder.read("p/config.toml"), "mine = 1");
}

#[test]
fn a_resume_that_is_refused_changes_nothing() {
    let folder = Folder::with_houses();
    let line = "train houses.toml --set train.epochs=200 --set train.checkpoint_steps=1 --out a";
    folder.killed(line, "a");
    let before = folder.read("a/config.toml");
    let said = folder.run(&line.replace("epochs=200", "epochs=3 --resume"));
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert_eq!(folder.read("a/config.toml"), before);

    // Nor is gone on from where no training of these rows and epochs can be, whatever the checksums say.
    let dir = folder.path().join("a/checkpoint");
    let whole = Checkpoint::read(&dir).unwrap().unwrap();
    let edits: [fn(&mut Checkpoint); 6] = [
        |edited| edited.progress.epoch = 201,
        |edited| edited.progress.step = usize::MAX,
        |edited| edited.progress.total_step = usize::MAX,
        |edited| edited.progress.n_rows = usize::MAX,
        |edited| edited.division = Some(Division { step: 0, ranks: 1 }),
        |edited| edited.division = Some(Division { step: 1, ranks: 0 }),
    ];
    for (at, edit) in edits.into_iter().enumerate() {
        let mut edited = whole.clone();
        edit(&mut edited);
        edited.write(&dir).unwrap();
        let written = folder.read("a/checkpoint/state.json");
        let said = folder.run(&format!("{line} --resume"));
        let stderr = &said.stderr;
        assert_eq!(said.code, 2, "{at}: {stderr}");
        assert!(
            stderr.contains("state.json is not a valid file"),
            "{at}: {stderr}"
        );
        assert_eq!(folder.read("a/checkpoint/state.json"), written);
    }
}

#[test]
fn resuming_what_is_finished_is_done() {
    let folder = Folder::with_houses();
    let trained = folder.done("train houses.toml --out a");
    // What a kill within the last step leaves.
    let checkpoint = folder.path().join("a/checkpoint");
    std::fs::create_dir(&checkpoint).unwrap();
    let again = folder.done("train houses.toml --out a --resume");
    assert_eq!(again.stdout, trained.stdout);
    assert!(!checkpoint.exists());
    assert!(
        again.stderr.contains("a is a finished run"),
        "{}",
        again.stderr
    );
}

#[test]
fn resume_and_overwrite_at_once() {
    let said = refused(
        &Folder::with_houses(),
        "train houses.toml --out a --resume --overwrite",
    );
    assert!(said.contains("cannot be used with"), "{said}");
}

#[test]
fn a_comparison_that_cannot_be_made() {
    let folder = Folder::with_houses();
    insta::assert_snapshot!(refused(&folder, "compare houses.toml --out a --arms image,konkat"), @r"
    error: no arm `konkat`

    hint: there are: image, metadata, trees, vote, weighted-vote, shuffled, all-missing, gaps-only, stacked, concat, sum-logits, film, daft, metablock, metanet, gate, attention
    ");
    insta::assert_snapshot!(refused(&folder, "compare houses.toml --out a --arms metadata"), @r"
    error: nothing to compare: no arm for image and metadata together

    hint: name a fusion (`both` is the configuration's own) or a vote; `shuffled` and `all-missing` are of a fusion
    ");
    insta::assert_snapshot!(refused(&folder, "compare houses.toml --out a --folds 25"), @r"
    error: expected at least 25 rows for 25 folds, found 24

    hint: use at most 24 folds: a row is in one fold only
    ");
    insta::assert_snapshot!(refused(&folder, "compare houses.toml --out a --metric auroc"), @r"
    error: arm `image` cannot be compared by `auroc`: it is not one of the task's metrics, or is undefined for these rows

    hint: keypoints: mean_px, median_px, mean_nme, pck@0.1, mean_mm, sdr@2, oks, ar; class: accuracy, balanced_accuracy, auroc, log_loss, macro_f1, average_precision, brier, ece; multilabel: auroc, micro_auroc, map, macro_f1, micro_f1, hamming_accuracy, log_loss, brier, ece; regression: mae, rmse, r2, median_ae, mape
    ");
    insta::assert_snapshot!(refused(&folder, "compare houses.toml --out a --merge"), @r"
    comparing 8 arms on the same 5 folds, 24 rows: image, metadata, trees, vote, weighted-vote, stacked, shuffled, all-missing
    25 trainings; 0 to run
    no metadata is missing in any row: there is no arm `gaps-only`
    error: 25 of 25 results are missing from a; the first is that of `image, fold 1`

    hint: run the same command without --merge: it makes what is missing and joins all
    ");
    insta::assert_snapshot!(refused(&folder, "compare houses.toml --out a --jobs 3/2"), @r"
    error: invalid value '3/2' for '--jobs <I/N>': a share is written I/N, I from 1 to N: the second of eight is 2/8

    For more information, try '--help'.
    ");
    folder.write("b/diary.txt", "dear diary");
    insta::assert_snapshot!(refused(&folder, "compare houses.toml --out b"), @r"
    error: b already holds b/diary.txt, which is not known to be Sidelight's

    hint: choose a new or an empty folder with --out; what is replaced has the mark of a run (`.sidelight-run`) and nothing else in it
    ");
}

#[test]
fn a_heatmap_of_a_price() {
    let folder = Folder::with_houses();
    let said = refused(
        &folder,
        "train houses.toml --out a --set model.head=heatmap",
    );
    let message =
        "`model.head`: expected `direct`, since the target is not points, found `heatmap`";
    assert!(said.contains(message), "{said}");
}

#[test]
fn an_auxiliary_loss_of_a_fusion_without_branches() {
    let folder = Folder::with_houses();
    let said = refused(
        &folder,
        "train houses.toml --out a --set model.auxiliary=0.3 --set model.fusion=film",
    );
    assert!(
        said.contains("since `film` has no branches; `concat` and `sum-logits` have"),
        "{said}"
    );
}
