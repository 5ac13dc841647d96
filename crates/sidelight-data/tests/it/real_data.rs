//! What is inferred of real tables, against what their makers say of them.

use std::path::{Path, PathBuf};

use sidelight_data::config::{Config, MetadataEntry, MetadataKind, TargetKind, TargetScale};
use sidelight_data::dataset::Dataset;
use sidelight_data::schema::{Disguise, Doubt, Reason, Role, Schema, Wishes, target_of};
use sidelight_data::table::Table;

/// The table of a data set; the tests say that they skip where none are given.
fn data(name: &str) -> Option<Table> {
    let Some(folder) = std::env::var_os("SIDELIGHT_DATA") else {
        println!("skipped: SIDELIGHT_DATA is not set");
        return None;
    };
    Some(Table::read(&PathBuf::from(folder).join(name).join("metadata.csv")).unwrap())
}

fn infer(table: &Table, target: &str) -> Schema {
    Schema::infer(
        table,
        &Wishes::new(target_of(table, &[target.to_owned()]).unwrap()),
    )
    .unwrap()
}

fn kind(schema: &Schema, name: &str) -> MetadataKind {
    match &schema.column(name).unwrap().role {
        Role::Metadata(config) => config.kind,
        other => panic!("{name} is {other:?}"),
    }
}

fn reason<'a>(schema: &'a Schema, name: &str) -> &'a Reason {
    match &schema.column(name).unwrap().role {
        Role::Ignored(reason) => reason,
        other => panic!("{name} is {other:?}"),
    }
}

/// What `init` writes reads back, and names the rows' metadata as inferred.
fn reads_back(table: &Table, schema: &Schema) -> Config {
    let text = schema.to_toml(&table.path);
    let config = Config::parse(&text, Path::new("sidelight.toml"), &[]).unwrap();
    assert_eq!(config.target, schema.target);
    let names: Vec<&String> = config.metadata.keys().collect();
    let mut inferred: Vec<&String> = schema.metadata().map(|(column, _)| &column.name).collect();
    inferred.sort();
    assert_eq!(names, inferred);
    config
}

#[test]
fn houses_zipcode_is_a_name_and_the_price_wants_a_logarithm() {
    let Some(table) = data("houses") else { return };
    let schema = infer(&table, "price");
    assert_eq!(kind(&schema, "zipcode"), MetadataKind::Categorical);
    for name in ["bedrooms", "bathrooms", "area"] {
        assert_eq!(kind(&schema, name), MetadataKind::Continuous, "{name}");
    }
    assert_eq!(
        (schema.target.kind, schema.target.scale),
        (TargetKind::Regression, TargetScale::Log)
    );
    let zipcode = schema.column("zipcode").unwrap();
    assert_eq!(
        (zipcode.evidence.n_distinct, zipcode.evidence.range),
        (49, Some([36372.0, 98021.0]))
    );
    let config = reads_back(&table, &schema);
    let dataset = Dataset::new(&table, &config).unwrap();
    assert_eq!((dataset.len(), dataset.metadata.columns.len()), (535, 4));
}

#[test]
fn zipcodes_are_known_by_their_digits_too() {
    let Some(mut table) = data("houses") else {
        return;
    };
    for column in &mut table.columns {
        if column.name == "zipcode" {
            column.name = "column7".into();
        }
    }
    let schema = infer(&table, "price");
    assert_eq!(kind(&schema, "column7"), MetadataKind::Categorical);
}

#[test]
fn leaf_has_192_numbers_and_its_genus_is_derived_from_the_species() {
    let Some(table) = data("leaf") else { return };
    let schema = infer(&table, "species");
    assert_eq!(schema.target.kind, TargetKind::Class);
    assert_eq!(
        schema
            .metadata()
            .filter(|(_, config)| config.kind == MetadataKind::Continuous)
            .count(),
        192
    );
    assert_eq!(schema.metadata().count(), 192);
    assert_eq!(
        reason(&schema, "genus"),
        &Reason::Target(Disguise::DerivedFrom {
            target: "species".into()
        })
    );
    // The other way round, the species says the genus.
    let schema = infer(&table, "genus");
    assert!(matches!(
        reason(&schema, "species"),
        Reason::Target(Disguise::Determines { .. })
    ));
    reads_back(&table, &schema);
}

#[test]
fn covid_is_told_by_its_findings_and_its_patients_are_a_group() {
    let Some(table) = data("covid_cxr") else {
        return;
    };
    let schema = infer(&table, "covid19");
    for name in ["finding", "finding_group"] {
        assert!(
            matches!(
                reason(&schema, name),
                Reason::Target(Disguise::Determines { .. })
            ),
            "{name}"
        );
    }
    assert_eq!(reason(&schema, "patientid"), &Reason::Subject);
    assert_eq!(schema.suggested_group.as_deref(), Some("patientid"));
    let leukocytes = schema.column("leukocyte_count").unwrap();
    assert_eq!(kind(&schema, "leukocyte_count"), MetadataKind::Continuous);
    assert!((leukocytes.evidence.missing_share() - 0.975).abs() < 0.001);
    assert!(leukocytes.doubts.contains(&Doubt::MostlyMissing));
    assert_eq!(kind(&schema, "location"), MetadataKind::Categorical);
    for name in [
        "survival",
        "intubated",
        "went_icu",
        "needed_supplemental_O2",
    ] {
        assert_eq!(kind(&schema, name), MetadataKind::Boolean, "{name}");
    }
    let config = reads_back(&table, &schema);
    assert_eq!(config.data.group.as_deref(), Some("patientid"));
    let dataset = Dataset::new(&table, &config).unwrap();
    assert_eq!(dataset.groups.unwrap().iter().max(), Some(&310));
    // With the finer label as target the coarser one is derived from it, the finest determines it.
    let schema = infer(&table, "finding_group");
    assert!(matches!(
        reason(&schema, "covid19"),
        Reason::Target(Disguise::DerivedFrom { .. })
    ));
    assert!(matches!(
        reason(&schema, "finding"),
        Reason::Target(Disguise::Determines { .. })
    ));
}

#[test]
fn figure1_has_text_among_its_ages_and_no_survival() {
    let Some(table) = data("figure1") else { return };
    let schema = infer(&table, "finding");
    assert_eq!(reason(&schema, "age_text"), &Reason::Mixed);
    let Some(Doubt::Mixed {
        n_other,
        n_present,
        examples,
    }) = schema.column("age_text").unwrap().doubts.first()
    else {
        panic!("{:?}", schema.column("age_text"));
    };
    assert_eq!(
        (*n_other, *n_present, &examples[0]),
        (8, 29, &("50+".to_owned(), 2))
    );
    assert_eq!(reason(&schema, "survival"), &Reason::Empty);
    assert_eq!(reason(&schema, "patientid"), &Reason::Identifier);
    assert_eq!(kind(&schema, "age"), MetadataKind::Continuous);
    let dataset = Dataset::new(&table, &reads_back(&table, &schema)).unwrap();
    assert_eq!(dataset.len(), 40);
    assert!(
        dataset
            .remarks
            .contains(&"15 of 55 rows have no target and are left out".to_owned())
    );
    // Read as a number, the text is named with its place (row 2, the first with text, has no target).
    let mut config = reads_back(&table, &schema);
    config.metadata.insert(
        "age_text".into(),
        MetadataEntry::Kind(MetadataKind::Continuous),
    );
    let error = Dataset::new(&table, &config).unwrap_err().to_string();
    assert!(
        error.ends_with("row 17 (line 18), column `age_text`: expected a number, found `67+`"),
        "{error}"
    );
}

#[test]
fn frl_faces_name_378_columns_in_one_word() {
    let Some(table) = data("frl_faces") else {
        return;
    };
    let schema = infer(&table, "x0..y188");
    assert_eq!(
        (schema.target.kind, schema.target.columns.len()),
        (TargetKind::Keypoints, 378)
    );
    assert_eq!(
        target_of(&table, &["x*".into(), "y*".into()])
            .unwrap()
            .columns,
        schema.target.columns
    );
    assert!(
        schema
            .to_toml(&table.path)
            .contains("columns = [\"x0..y188\"]  # 189 points\n")
    );
    for (name, expected) in [
        ("gender", MetadataKind::Categorical),
        ("age", MetadataKind::Continuous),
        ("ethnicity", MetadataKind::Categorical),
        ("set", MetadataKind::Categorical),
        ("attractiveness", MetadataKind::Continuous),
    ] {
        assert_eq!(kind(&schema, name), expected, "{name}");
    }
    let dataset = Dataset::new(&table, &reads_back(&table, &schema)).unwrap();
    assert_eq!(dataset.len(), 242);
}

#[test]
fn udacity_persons_are_a_group_that_the_official_split_divides() {
    let Some(table) = data("udacity_faces") else {
        return;
    };
    let schema = infer(&table, "x0..y67");
    assert_eq!(schema.suggested_group.as_deref(), Some("person"));
    let divided = Reason::DividesGroups {
        group: "person".into(),
        n_divided: 347,
        n_groups: 347,
    };
    assert_eq!(reason(&schema, "split"), &divided);
    assert_eq!(kind(&schema, "frame"), MetadataKind::Continuous);
    let config = reads_back(&table, &schema);
    assert_eq!(
        (
            config.data.group.as_deref(),
            config.data.split.column.as_deref()
        ),
        (Some("person"), None)
    );
}

#[test]
fn lungs_are_points_with_a_group_that_looks_like_a_number() {
    let Some(table) = data("cxr_lungs") else {
        return;
    };
    let schema = infer(&table, "x0..y3");
    assert_eq!(reason(&schema, "patientid"), &Reason::Subject);
    assert_eq!(
        (schema.target.kind, schema.target.columns.len()),
        (TargetKind::Keypoints, 8)
    );
    assert_eq!(kind(&schema, "covid19"), MetadataKind::Boolean);
    reads_back(&table, &schema);
}
