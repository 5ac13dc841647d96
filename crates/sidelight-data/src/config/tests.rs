//! Reading a configuration, and every way it can be refused.

use std::path::Path;

use super::*;
use crate::error::Error;

const HOUSES: &str = r#"
[data]
table = "houses.csv"

[target]
kind = "regression"
column = "price"

[metadata]
beds = "continuous"
area = { kind = "continuous", scale = "log" }
"#;

fn parse(text: &str, overrides: &[&str]) -> Result<Config, Error> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    Config::parse(text, Path::new("home/houses.toml"), &overrides)
}

/// The message and the hint of a refusal.
fn refusal(text: &str, overrides: &[&str]) -> (String, String) {
    let error = parse(text, overrides).unwrap_err();
    (error.to_string(), error.hint().unwrap_or_default())
}

#[test]
fn kinds_of_targets_have_their_old_names_too() {
    let pairs = [
        ("points", "keypoints", "columns = [\"x0\", \"y0\"]"),
        ("classes", "multilabel", "column = \"tags\""),
        ("value", "regression", "column = \"price\""),
    ];
    for (old, new, columns) in pairs {
        let text = |kind: &str| {
            format!("data.table = \"t.csv\"\ntarget = {{ kind = \"{kind}\", {columns} }}")
        };
        let (old, new) = (
            parse(&text(old), &[]).unwrap(),
            parse(&text(new), &[]).unwrap(),
        );
        assert_eq!(old, new);
        assert_eq!(old.to_toml().unwrap(), new.to_toml().unwrap());
    }
}

#[test]
fn what_is_not_said_has_its_default_and_paths_are_relative_to_the_file() {
    let config = parse(HOUSES, &["model.weights=net.pth"]).unwrap();
    assert_eq!(config.data.table, Path::new("home/houses.csv"));
    assert_eq!(
        config.model.weights,
        Path::new("home").join("net.pth").to_str().unwrap()
    );
    assert_eq!(
        (config.train.batch, config.data.image.first()),
        (32, "file_name")
    );
    assert_eq!(
        config.metadata["beds"],
        MetadataEntry::Kind(MetadataKind::Continuous)
    );
    assert_eq!(config.metadata["area"].full().scale, NumberScale::Log);
    assert_eq!(
        parse(HOUSES, &["model.weights=org/name"])
            .unwrap()
            .model
            .weights,
        "org/name"
    );
}

#[test]
fn weights_are_none_or_a_file_or_a_name_on_the_hub() {
    let weights = |text: &str| parse(HOUSES, &[&format!("model.weights={text}")]);
    for text in [
        "net.safetensors",
        "dir/net.PTH",
        "./net",
        "../runs/net",
        "/data/net",
        "a/b.bin",
    ] {
        let config = weights(text).unwrap();
        assert!(config.model.weights_are_a_file(), "{text}");
        let file = config.model.weights_file().unwrap().unwrap();
        assert!(
            file.ends_with(text.trim_start_matches("./")),
            "{}",
            file.display()
        );
        assert!(text.starts_with('/') || file.starts_with("home") || file.starts_with("./home"));
    }
    assert_eq!(weights("none").unwrap().model.weights_file().unwrap(), None);
    let mut config = weights("timm/net.a1_in1k@v1").unwrap();
    assert_eq!(
        config.model.weights_on_hub().unwrap().unwrap().revision(),
        "v1"
    );
    assert!(
        matches!(config.model.weights_file(), Err(Error::HubUnfetched { name }) if name == "timm/net.a1_in1k@v1")
    );
    config.model.fetched = Some("cache/net.safetensors".into());
    assert_eq!(config.model.weights_file().unwrap(), config.model.fetched);
    let written = config.to_toml().unwrap();
    assert!(
        written.contains("weights = \"timm/net.a1_in1k@v1\"") && !written.contains("cache"),
        "{written}"
    );
    for text in ["imagenet", "timm/../net", "https://huggingface.co/timm/net"] {
        assert!(matches!(weights(text), Err(Error::HubName { name, .. }) if name == text));
    }
}

#[test]
fn overrides_are_toml_or_bare_words_at_any_depth() {
    let config = parse(
        HOUSES,
        &[
            "train.epochs=5",
            "train.learning_rate=1e-3",
            "train.precision=bf16",
            "data.split={ valid = 0.5, seed = 7 }",
            "data.split.seed = 8",
            r#"metadata."exif.ExposureTime"=continuous"#,
            r#"metadata."a = b"=categorical"#,
            "metadata.area.scale=quantile",
            r#"data.missing=["?", "-"]"#,
            "data.missing.1=none of this",
            "data.missing.2=more",
            r#"model.edit=[{ replace = "head" }]"#,
            "model.edit.0.replace=tail",
        ],
    )
    .unwrap();
    assert_eq!((config.train.epochs, config.train.learning_rate), (5, 1e-3));
    assert_eq!(config.train.precision, "bf16");
    assert_eq!((config.data.split.valid, config.data.split.seed), (0.5, 8));
    assert_eq!(
        config.metadata["exif.ExposureTime"],
        MetadataEntry::Kind(MetadataKind::Continuous)
    );
    assert_eq!(
        config.metadata["a = b"],
        MetadataEntry::Kind(MetadataKind::Categorical)
    );
    assert_eq!(config.metadata["area"].full().scale, NumberScale::Quantile);
    assert_eq!(config.data.missing, ["?", "none of this", "more"]);
    assert_eq!(config.model.edit[0]["replace"].as_str(), Some("tail"));
}

#[test]
fn overrides_can_give_what_the_file_lacks() {
    let config = parse(
        "data.table = \"t.csv\"",
        &["target.kind=class", "target.column=species"],
    )
    .unwrap();
    assert_eq!(config.target.names(), ["species"]);
}

#[test]
fn a_short_entry_grows_when_one_of_its_fields_is_set() {
    let config = parse(HOUSES, &["metadata.beds.scale=log"]).unwrap();
    assert_eq!(
        config.metadata["beds"].full().kind,
        MetadataKind::Continuous
    );
    assert_eq!(config.metadata["beds"].full().scale, NumberScale::Log);
}

#[test]
fn a_range_names_many_columns() {
    let text =
        "data.table = \"t.csv\"\ntarget = { kind = \"keypoints\", columns = [\"x0..y188\"] }";
    let config = parse(text, &[]).unwrap();
    assert_eq!(config.target.columns.len(), 378);
    assert_eq!(config.target.columns[..3], ["x0", "y0", "x1"]);
}

#[test]
fn what_is_written_reads_back_equal_from_any_folder() {
    let config = parse(
        HOUSES,
        &[
            "model.weights=net.safetensors",
            "train.freeze_epochs=2",
            r#"metadata."odd name.x"={ kind = "categorical", flip = [["left", "right"]], from = "file_name", pattern = "_(l|r)" }"#,
            "augment.flip=true",
            "model.edit=[{ replace = \"head\", width = 3 }]",
        ],
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config.to_toml().unwrap()).unwrap();
    let read = Config::read(&path, &[]).unwrap();
    assert_eq!(read, config.absolute().unwrap());
    assert!(read.data.table.is_absolute());
    // And once more: it has settled.
    assert_eq!(read.to_toml().unwrap(), config.to_toml().unwrap());
}

#[test]
fn many_target_columns_are_written_as_the_range_they_are() {
    let text = "data.table = \"t.csv\"\ntarget = { kind = \"keypoints\", columns = [\"x0..y9\"], normalizer = { between = [0, 1] } }";
    let config = parse(text, &[]).unwrap();
    let written = config.to_toml().unwrap();
    assert!(written.contains("\"x0..y9\""), "{written}");
    assert_eq!(parse(&written, &[]).unwrap(), config.absolute().unwrap());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::read(Path::new("no/such.toml"), &[]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read no/such.toml");
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    let (message, _) = refusal("[data]\ntable = houses.csv\n", &[]);
    assert_eq!(
        message,
        "home/houses.toml, line 2: string values must be quoted, expected literal string"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin.toml");
    std::fs::write(&path, b"[data]\n\ntable = \"h\xe4user.csv\"\n").unwrap();
    let error = Config::read(&path, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}, line 3: not UTF-8 text", path.display())
    );
}

#[test]
fn an_unknown_field_is_refused_with_its_line_and_the_nearest_name() {
    let (message, hint) = refusal(&format!("{HOUSES}[train]\n\nepoch = 3\n"), &[]);
    assert_eq!(message, "home/houses.toml, line 14: no field `train.epoch`");
    assert_eq!(hint, "did you mean `train.epochs`?");
    let (message, hint) = refusal(HOUSES, &["train.bach=3"]);
    assert_eq!(message, "home/houses.toml: no field `train.bach`");
    assert_eq!(hint, "did you mean `train.batch`?");
    let (message, hint) = refusal(HOUSES, &["training.epochs=3"]);
    assert_eq!(message, "home/houses.toml: no field `training`");
    assert_eq!(hint, "did you mean `train`?");
    let (message, hint) = refusal(HOUSES, &["metadata.area.scael=log"]);
    assert_eq!(message, "home/houses.toml: no field `metadata.area.scael`");
    assert_eq!(hint, "did you mean `metadata.area.scale`?");
}

#[test]
fn an_unknown_choice_is_refused_with_the_nearest_one() {
    let (message, hint) = refusal(
        &HOUSES.replace("\"continuous\"\narea", "\"continous\"\narea"),
        &[],
    );
    assert_eq!(
        message,
        "home/houses.toml, line 10: `metadata.beds`: unknown value `continous`"
    );
    assert_eq!(hint, "did you mean `continuous`?");
    let (message, hint) = refusal(HOUSES, &["model.arm=all"]);
    assert_eq!(
        message,
        "home/houses.toml: `model.arm`: unknown value `all`"
    );
    assert_eq!(
        hint,
        "it can be: image, metadata, both, vote, weighted-vote"
    );
}

#[test]
fn a_field_of_the_wrong_type_is_refused() {
    let (message, _) = refusal(&format!("{HOUSES}[train]\nepochs = \"ten\"\n"), &[]);
    assert_eq!(
        message,
        "home/houses.toml, line 13: `train.epochs`: invalid type: string \"ten\", expected usize"
    );
    let (message, _) = refusal(&HOUSES.replace("beds = \"continuous\"", "beds = 3"), &[]);
    assert_eq!(
        message,
        "home/houses.toml, line 10: `metadata.beds`: invalid type: integer `3`, expected a kind (`\"continuous\"`) or a table (`{ kind = \"continuous\", scale = \"log\" }`)"
    );
    let (message, _) = refusal(HOUSES, &["train.epochs.x=3"]);
    assert_eq!(
        message,
        "home/houses.toml: `train.epochs`: invalid type: map, expected usize"
    );
}

#[test]
fn what_must_be_there_is_named() {
    assert_eq!(refusal("", &[]).0, "home/houses.toml: `data` is missing");
    assert_eq!(
        refusal("[data]\n[target]\nkind = \"class\"\n", &[]).0,
        "home/houses.toml: `data.table` is missing"
    );
    assert_eq!(
        refusal(HOUSES, &["metadata.age={ scale = \"log\" }"]).0,
        "home/houses.toml: `metadata.age.kind` is missing"
    );
}

#[test]
fn an_override_that_is_none_is_refused() {
    for text in [
        "train.epochs",
        "=5",
        "train..epochs=5",
        "a b=5",
        "",
        "x\n[y]\nz=1",
    ] {
        let (message, hint) = refusal(HOUSES, &[text]);
        assert_eq!(
            message,
            format!("`{text}` is not of the form `section.field=value`")
        );
        assert_eq!(
            hint,
            "as in `train.epochs=5` or `metadata.\"exif.ExposureTime\"=continuous`"
        );
    }
    let (message, _) = refusal(HOUSES, &["data.table.x=1"]);
    assert_eq!(
        message,
        "`data.table`: expected something that has `x`, found `\"houses.csv\"`"
    );
}

#[test]
fn values_out_of_their_range_are_refused() {
    for (setting, message) in [
        (
            "train.learning_rate=0",
            "`train.learning_rate`: expected a number above 0, found `0`",
        ),
        (
            "train.learning_rate=nan",
            "`train.learning_rate`: expected a number above 0, found `NaN`",
        ),
        (
            "train.batch=0",
            "`train.batch`: expected 1 to 65536 rows, found `0`",
        ),
        (
            "train.size=4",
            "`train.size`: expected 8 to 4096 pixels, found `4`",
        ),
        (
            "train.epochs=0",
            "`train.epochs`: expected at least 1 (or `train.freeze_epochs` above 0), found `0`",
        ),
        (
            "train.weight_decay=-1",
            "`train.weight_decay`: expected a number not below 0, found `-1`",
        ),
        (
            "train.backbone_rate=2",
            "`train.backbone_rate`: expected a share above 0, at most 1, found `2`",
        ),
        (
            "train.clip=-1",
            "`train.clip`: expected a number not below 0 (0: no clipping), found `-1`",
        ),
        (
            "train.precision=f64",
            "`train.precision`: expected `f32` or `bf16`, found `f64`",
        ),
        (
            "model.dropout=1",
            "`model.dropout`: expected a share from 0 to below 1, found `1`",
        ),
        (
            "data.split.valid=1",
            "`data.split.valid`: expected a share above 0 and below 1, found `1`",
        ),
        (
            "augment.rotate=200",
            "`augment.rotate`: expected 0 to 180 degrees, found `200`",
        ),
        (
            "augment.probability=1.5",
            "`augment.probability`: expected a share from 0 to 1, found `1.5`",
        ),
        (
            "data.image=price",
            "`data.image`: expected a column that is not the target, found `price`",
        ),
        (
            "metadata.price=continuous",
            "`metadata.price`: expected a column that is not the target, found `price`",
        ),
        (
            "metadata.\"image.depth\"=continuous",
            "`metadata.\"image.depth\"`: expected `image.width`, `image.height` or `image.bytes`, found `image.depth`",
        ),
        (
            "metadata.area.scale=periodic",
            "`metadata.area.period`: expected the period in the column's unit (360 for degrees), found `nothing`",
        ),
        (
            "metadata.area.period=360",
            "`metadata.area.period`: expected `scale = \"periodic\"` beside it, found `360`",
        ),
        (
            "metadata.area.encoding=one-hot",
            "`metadata.area.encoding`: expected kind `categorical`, found `onehot`",
        ),
        (
            "metadata.side={ kind = \"categorical\", scale = \"log\" }",
            "`metadata.side.scale`: expected kind `continuous` (a scale is for numbers), found `log`",
        ),
        (
            "metadata.side={ kind = \"categorical\", pattern = \"[\" }",
            "`metadata.side.pattern`: expected a regular expression with a group, as in `_([0-9]+)\\.jpg$`, found `[`",
        ),
        (
            "metadata.side={ kind = \"categorical\", pattern = \"left\" }",
            "`metadata.side.pattern`: expected a regular expression with a group, as in `_([0-9]+)\\.jpg$`, found `left`",
        ),
    ] {
        assert_eq!(refusal(HOUSES, &[setting]).0, message);
    }
}

#[test]
fn columns_that_do_not_fit_the_targets_kind_are_refused() {
    for (target, message) in [
        (
            "{ kind = \"keypoints\", columns = [\"x0\", \"y0\", \"x1\"] }",
            "`target.columns`: expected an even number of columns (x0, y0, x1, y1, …), found `3: x0, y0, x1`",
        ),
        (
            "{ kind = \"class\", columns = [\"a\", \"b\"] }",
            "`target.columns`: expected one column (kind `multilabel` takes one boolean column per label), found `2: a, b`",
        ),
        (
            "{ kind = \"class\" }",
            "`target.column`: expected the name of the column to predict, found `nothing`",
        ),
        (
            "{ kind = \"regression\", column = \"a\", columns = [\"b\"] }",
            "`target`: expected `column` or `columns`, not both, found `a, b`",
        ),
        (
            "{ kind = \"regression\", columns = [\"a\", \"a\"] }",
            "`target.columns`: expected each column once, found `a`",
        ),
        (
            "{ kind = \"class\", column = \"a\", scale = \"log\" }",
            "`target.scale`: expected kind `regression` (a scale is for numbers), found `log`",
        ),
        (
            "{ kind = \"keypoints\", columns = [\"x0..y1\"], symmetric = [[0, 2]] }",
            "`target.symmetric`: expected pairs of two of the points 0 to 1, found `[0, 2]`",
        ),
        (
            "{ kind = \"keypoints\", columns = [\"x0..y2\"], symmetric = [[0, 1], [1, 2]] }",
            "`target.symmetric`: expected each point in one pair, found `1`",
        ),
        (
            "{ kind = \"keypoints\", columns = [\"x0..y1\"], normalizer = { between = [0, 5] } }",
            "`target.normalizer`: expected two different points of 0 to 1, found `[0, 5]`",
        ),
        (
            "{ kind = \"class\", column = \"a\", normalizer = \"diagonal\" }",
            "`target.normalizer`: expected kind `keypoints`, found `diagonal`",
        ),
    ] {
        let text = format!("data.table = \"t.csv\"\ntarget = {target}\n");
        assert_eq!(refusal(&text, &[]).0, message);
    }
}

#[test]
fn options_of_training_that_do_not_fit_are_refused() {
    let class = "data.table = \"t.csv\"\ntarget = { kind = \"class\", column = \"c\" }";
    for (text, overrides, field) in [
        (class, vec!["train.accumulate=0"], "train.accumulate"),
        // What nobody waits for, and no memory holds a plan of.
        (
            class,
            vec!["train.epochs=9223372036854775807"],
            "train.epochs",
        ),
        (
            class,
            vec!["train.freeze_epochs=2000000"],
            "train.freeze_epochs",
        ),
        (class, vec!["train.workers=100000"], "train.workers"),
        (class, vec!["train.ema=1.0"], "train.ema"),
        (class, vec!["train.ema=nan"], "train.ema"),
        (class, vec!["train.ema_warmup=true"], "train.ema_warmup"),
        (class, vec!["train.mixup=-0.1"], "train.mixup"),
        (HOUSES, vec!["train.mixup=0.2"], "train.mixup"),
        (class, vec!["train.heatmap_loss=-1"], "train.heatmap_loss"),
        (HOUSES, vec!["train.sampling=balanced"], "train.sampling"),
        (
            class,
            vec!["train.sampling=balanced", "train.class_weights=true"],
            "train.sampling",
        ),
        (
            class,
            vec!["train.unfreeze=gradual", "train.freeze=true"],
            "train.unfreeze",
        ),
    ] {
        let error = parse(text, &overrides).unwrap_err();
        assert!(
            matches!(&error, Error::Setting { field: found, .. } if found == field),
            "{overrides:?}: {error}"
        );
    }
    let config = parse(
        class,
        &[
            "train.accumulate=4",
            "train.ema=0.999",
            "train.ema_warmup=true",
            "train.heatmap_loss=0.5",
            "train.mixup=0.2",
            "train.sampling=balanced",
            "train.scale_rate=sqrt",
            "train.sync_batch_norm=true",
            "train.unfreeze=gradual",
        ],
    )
    .unwrap();
    assert_eq!(
        parse(&config.to_toml().unwrap(), &[]).unwrap(),
        config.absolute().unwrap()
    );
}

#[test]
fn options_that_are_off_are_not_written() {
    let written = parse(HOUSES, &[]).unwrap().to_toml().unwrap();
    for field in [
        "accumulate",
        "ema",
        "mixup",
        "sampling",
        "scale_rate",
        "sync_batch_norm",
        "unfreeze",
    ] {
        assert!(!written.contains(field), "{written}");
    }
}

#[test]
fn folds_that_have_no_mean_or_no_order_are_refused() {
    let of = |more: &[&str]| {
        let set = [&["data.split.folds=5"], more].concat();
        refusal(HOUSES, &set).0
    };
    let all = parse(HOUSES, &["data.split.folds=5"]).unwrap().data.split;
    assert!(all.joins_folds());
    let one = ["data.split.folds=5", "data.split.fold=5"];
    assert!(!parse(HOUSES, &one).unwrap().data.split.joins_folds());
    insta::assert_snapshot!(of(&["data.split.folds=1"]), @"`data.split.folds`: expected 2 to 100, or 0 for one model, found `1`");
    insta::assert_snapshot!(of(&["data.split.fold=6"]), @"`data.split.fold`: expected 1 to 5, or 0 for all of them, found `6`");
    insta::assert_snapshot!(of(&["data.split.folds=0", "data.split.fold=1"]), @"`data.split.fold`: expected 0, since `data.split.folds` is 0, found `1`");
    insta::assert_snapshot!(of(&["data.time=year"]), @"`data.split.folds`: expected 0, since rows are divided by time (`data.time`): a fold would be predicted from what came after it, found `5`");
    insta::assert_snapshot!(of(&["data.split.valid_where=[3]"]), @"`data.split.valid_where`: expected none, since each row is a validation row of one fold (`data.split.folds`), found `3`");
    let points = HOUSES.replace("regression", "keypoints");
    let points = points.replace("column = \"price\"", "columns = [\"x\", \"y\"]");
    let set = ["data.split.folds=5", "model.head=candidates"];
    insta::assert_snapshot!(refusal(&points, &set).0, @"`model.head`: expected `direct` or `heatmap`, since models of folds (`data.split.folds`) are joined by their mean, and candidates have none, found `candidates`");
}

#[test]
fn a_range_of_pixels_is_a_word_or_two_numbers() {
    let text = "data.table = \"t.csv\"\ntarget = { kind = \"class\", column = \"y\" }\n";
    let read = |range: &str| {
        let set = format!("image.range={range}");
        Config::parse(text, Path::new("t.toml"), &[set])
    };
    for (written, range) in [
        ("auto", ImageRange::Auto),
        ("full", ImageRange::Full),
        ("[0, 4095]", ImageRange::Between([0.0, 4095.0])),
    ] {
        let config = read(written).unwrap();
        assert_eq!(config.image.range, range);
        let again = Config::parse(&config.to_toml().unwrap(), Path::new("t.toml"), &[]);
        assert_eq!(again.unwrap().image.range, range);
    }
    for wrong in ["most", "[1]", "[5, 5]"] {
        let error = read(wrong).unwrap_err().to_string();
        assert!(error.contains("two numbers"), "{wrong}: {error}");
    }
}
