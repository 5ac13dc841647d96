//! The schema of a configuration beside what reads one: neither may know more than the other.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sidelight::Config;
use sidelight::error::DataError;
use sidelight::network::Edit;

use crate::folder::{Folder, has, refused};

fn schema() -> Value {
    serde_json::from_str(&Folder::new().done("schema").stdout).unwrap()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Why a configuration is not valid.
fn mistakes(schema: &Value, config: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    let said =
        |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    validator.iter_errors(config).map(said).collect()
}

fn is_valid(schema: &Value, config: &Value) -> bool {
    mistakes(schema, config).is_empty()
}

/// What the program makes of a configuration.
fn read(config: &Value) -> Result<Config, DataError> {
    let text = toml::to_string(config).unwrap();
    Config::parse(&text, Path::new("t.toml"), &[])
}

fn from_toml(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

/// A configuration of points with a metadata column and a table that is joined.
fn whole() -> Value {
    json!({
        "data": { "table": "t.csv", "join": [{ "table": "u.csv" }] },
        "target": { "kind": "keypoints", "columns": ["x0", "y0", "x1", "y1"] },
        "metadata": { "a": { "kind": "categorical" } },
    })
}

/// Each table of a configuration: where it stands, and what it is called in the schema.
const TABLES: [(&str, &str); 11] = [
    ("", ""),
    ("/data", "/$defs/DataConfig"),
    ("/data/split", "/$defs/SplitConfig"),
    ("/data/remote", "/$defs/RemoteConfig"),
    ("/data/join/0", "/$defs/JoinConfig"),
    ("/target", "/$defs/TargetConfig"),
    ("/metadata/a", "/$defs/MetadataConfig"),
    ("/model", "/$defs/ModelConfig"),
    ("/train", "/$defs/TrainConfig"),
    ("/image", "/$defs/ImageConfig"),
    ("/augment", "/$defs/AugmentConfig"),
];

/// The fields of a table.
fn fields<'a>(schema: &'a Value, definition: &str) -> &'a Map<String, Value> {
    let fields = schema.pointer(&format!("{definition}/properties"));
    fields.and_then(Value::as_object).unwrap()
}

/// The configuration with this value there.
fn with(place: &str, field: &str, value: &Value) -> Value {
    let mut config = whole();
    let mut table = &mut config;
    for name in place.split('/').skip(1) {
        table = match table {
            Value::Array(list) => &mut list[name.parse::<usize>().unwrap()],
            _ => &mut table[name],
        };
    }
    table[field] = value.clone();
    config
}

#[test]
fn it_is_a_schema_and_describes_every_field() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert!(jsonschema::meta::is_valid(&schema));
    let mut n = 0;
    for (_, definition) in TABLES {
        for (name, field) in fields(&schema, definition) {
            let description = field["description"].as_str().unwrap_or_default();
            assert!(description.ends_with(['.', ')']), "{name}: {description}");
            assert!(!description.contains("[`"), "{name}: {description}");
            assert!(!description.contains("# Source"), "{name}: {description}");
            n += 1;
        }
    }
    assert!(n > 90, "{n}");
    assert!(!schema.to_string().contains("\"type\":\"null\""));
}

#[test]
fn each_default_is_the_real_one() {
    let schema = schema();
    let base = read(&whole()).unwrap();
    let mut without = Vec::new();
    for (place, definition) in TABLES {
        let pointer = format!("{definition}/required");
        let required = schema.pointer(&pointer).and_then(Value::as_array);
        for (name, field) in fields(&schema, definition) {
            let is_required = required.is_some_and(|names| names.contains(&name.as_str().into()));
            // These two stand in the base with something else.
            if is_required
                || [("", "metadata"), ("/data", "join")].contains(&(place, name.as_str()))
            {
                continue;
            }
            match field.get("default") {
                Some(_) if (place, name.as_str()) == ("/target", "columns") => {}
                Some(default) => {
                    let config = with(place, name, default);
                    assert_eq!(mistakes(&schema, &config), [""; 0], "{place} {name}");
                    assert_eq!(read(&config).unwrap(), base, "{place} {name} {default}");
                }
                None => without.push(format!("{place}/{name}")),
            }
        }
    }
    // What may be left unsaid: their descriptions say what that means.
    insta::assert_snapshot!(without.join("\n"), @r"
    /data/crop
    /data/group
    /data/fold
    /data/time
    /data/weight
    /data/decimal
    /data/date_order
    /data/separator
    /data/encoding
    /data/sheet
    /data/shuffle_shards
    /data/split/column
    /data/split/folds
    /data/split/fold
    /data/remote/cache
    /data/join/0/latest
    /data/join/0/sheet
    /target/column
    /target/decimal
    /target/unit
    /target/frame
    /target/spacing
    /target/sigmas
    /target/area
    /target/normalizer
    /metadata/a/period
    /metadata/a/decimal
    /metadata/a/unit
    /metadata/a/date_order
    /metadata/a/from
    /metadata/a/pattern
    /train/freeze_epochs
    /augment/flip
    /augment/hide_metadata
    ");
}

#[test]
fn what_is_there_is_valid() {
    let schema = schema();
    let root = workspace();
    let mut files = vec![
        root.join("crates/sidelight/examples/wrangle.toml"),
        root.join("crates/sidelight-data/src/demo/sidelight.toml"),
    ];
    for entry in fs::read_dir(root.join("bench/configs")).unwrap() {
        files.push(entry.unwrap().path());
    }
    assert!(files.len() >= 9, "{files:?}");
    for file in files {
        let config = from_toml(&fs::read_to_string(&file).unwrap());
        assert_eq!(mistakes(&schema, &config), [""; 0], "{}", file.display());
    }
}

#[test]
fn what_the_documentation_shows_is_valid() {
    let schema = schema();
    let docs = fs::read_dir(workspace().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let is_text = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let mut n = 0;
    for file in docs.filter(is_text).chain([workspace().join("README.md")]) {
        let text = fs::read_to_string(&file).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let mut config = from_toml(block.split("```").next().unwrap());
            // A block shows a part; of the rest it says nothing.
            for (section, name, value) in [
                ("data", "table", json!("t.csv")),
                ("target", "kind", json!("keypoints")),
            ] {
                if config[section].get(name).is_none() {
                    config[section][name] = value;
                }
            }
            assert_eq!(mistakes(&schema, &config), [""; 0], "{}", file.display());
            n += 1;
        }
    }
    assert!(n >= 5, "{n}");
}

#[test]
fn what_the_program_refuses_to_read_is_not_valid() {
    let schema = schema();
    let (nonsense, word) = (json!([[{ "no": true }]]), json!("no such word"));
    let mut n_words = 0;
    for (place, definition) in TABLES {
        let unknown = with(place, "no_such_field", &json!(1));
        assert!(
            read(&unknown).is_err() && !is_valid(&schema, &unknown),
            "{place}"
        );
        for name in fields(&schema, definition).keys() {
            let wrong = with(place, name, &nonsense);
            assert!(read(&wrong).is_err(), "{place} {name}");
            assert!(!is_valid(&schema, &wrong), "{place} {name}");
            // What the network alone knows is told apart when it is built.
            if ["backbone", "fusion", "loss"].contains(&name.as_str()) {
                continue;
            }
            // A word where one is free, or one of several is wanted.
            let worded = with(place, name, &word);
            match read(&worded) {
                Ok(_) => assert_eq!(mistakes(&schema, &worded), [""; 0], "{place} {name}"),
                Err(DataError::UnknownChoice { .. }) => {
                    assert!(!is_valid(&schema, &worded), "{place} {name}");
                    n_words += 1;
                }
                Err(_) => {}
            }
        }
    }
    assert!(n_words >= 10, "{n_words}");
}

#[test]
fn words_of_the_network_are_those_that_there_are() {
    let schema = schema();
    for (place, name, known) in [
        ("/model", "backbone", "resnet18"),
        ("/model", "fusion", "film"),
        ("/train", "precision", "bf16"),
        ("/train", "loss", "wing:0.2"),
        ("/target", "kind", "points"),
    ] {
        assert_eq!(
            mistakes(&schema, &with(place, name, &known.into())),
            [""; 0],
            "{name}"
        );
        assert!(
            !is_valid(&schema, &with(place, name, &"resnet".into())),
            "{name}"
        );
    }
}

#[test]
fn edits_are_described_down_to_the_fields_of_layers() {
    let schema = schema();
    let edit = |text: &str| {
        let edit = from_toml(text);
        let mut config = whole();
        config["model"]["edit"] = json!([edit]);
        let is_read = Edit::from_table(0, &toml::from_str(text).unwrap()).is_ok();
        (is_read, is_valid(&schema, &config))
    };
    let good = [
        "op = 'replace'\npath = 'head.6'\nlayer = { kind = 'linear', out_features = 7 }",
        "op = 'input_channels'\nn = 5",
        "op = 'prepend'\nname = 'a'\nlayer = { kind = 'sequential', children = [{ kind = 'max_pool', kernel = 2, stride = 2 }, { name = 'b', kind = 'relu' }] }",
        "op = 'insert_after'\npath = 'a'\nname = 'b'\nlayer = { kind = 'residual', again_at = 'c' }",
        "op = 'append'\nname = 'm'\nlayer = { kind = 'metadata' }",
        "op = 'append'\nname = 'f'\nlayer = { kind = 'fusion', method = 'film' }",
    ];
    for text in good {
        assert_eq!(edit(text), (true, true), "{text}");
    }
    let bad = [
        "op = 'reorder'\npath = 'a'",
        "op = 'remove'",
        "op = 'remove'\npath = 'a'\nname = 'b'",
        "op = 'replace'\npath = 'a'\nlayer = { kind = 'linear', out_feature = 7 }",
        "op = 'replace'\npath = 'a'\nlayer = { kind = 'linear' }",
        "op = 'replace'\npath = 'a'\nlayer = { kind = 'lineal', out_features = 7 }",
        "op = 'prepend'\nname = 'a'\nlayer = { kind = 'sequential', children = [{ kind = 'dropout', p = 'x' }] }",
    ];
    for text in bad {
        assert_eq!(edit(text), (false, false), "{text}");
    }
}

#[test]
fn a_configuration_names_the_schema_that_is_beside_it() {
    const LINE: &str = "#:schema ./sidelight.schema.json\n";
    let folder = Folder::with_houses();
    let said = folder.done("init houses.csv --target price --schema");
    has(&said.stderr, "wrote sidelight.schema.json");
    assert!(folder.read("sidelight.toml").starts_with(LINE));
    let written = folder.read("sidelight.schema.json");
    assert_eq!(written, folder.done("schema").stdout);
    let config = from_toml(&folder.read("sidelight.toml"));
    assert_eq!(mistakes(&schema(), &config), [""; 0]);
    folder.done("check sidelight.toml");

    // It is there: named again, and left as it is.
    folder.write("sidelight.schema.json", "{}");
    folder.done("init houses.csv --target price --schema --out b.toml");
    folder.done("init houses.csv --target price --out c.toml");
    for name in ["b.toml", "c.toml"] {
        assert!(folder.read(name).starts_with(LINE), "{name}");
    }
    assert_eq!(folder.read("sidelight.schema.json"), "{}");
    folder.done("init houses.csv --target price --schema --overwrite");
    assert_eq!(folder.read("sidelight.schema.json"), written);

    // Elsewhere there is none.
    fs::create_dir(folder.path().join("d")).unwrap();
    folder.done("init houses.csv --target price --out d/d.toml");
    assert!(!folder.read("d/d.toml").contains("#:schema"));
    has(
        &refused(&folder, "init houses.csv --target price --schema --out -"),
        "print the schema with `sidelight schema`",
    );
}

#[test]
fn the_schema_can_be_written_to_a_file() {
    let folder = Folder::new();
    let said = folder.done("schema --out schemas.json");
    has(&said.stderr, "`#:schema ./schemas.json`");
    assert_eq!(folder.read("schemas.json"), folder.done("schema").stdout);
    has(
        &refused(&folder, "schema --out no/such/folder.json"),
        "no/such",
    );
}
