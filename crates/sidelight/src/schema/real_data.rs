//! What is inferred of real tables, against what their makers say of them.

use std::path::PathBuf;

use super::*;
use crate::config::{MetadataKind, TargetKind, TargetScale};

/// The folder of the data sets; the tests say that they skip where it is not given.
fn data(name: &str) -> Option<Table> {
    let Some(folder) = std::env::var_os("SIDELIGHT_DATA") else {
        println!("skipped: SIDELIGHT_DATA is not set");
        return None;
    };
    Some(Table::read(&PathBuf::from(folder).join(name).join("metadata.csv")).unwrap())
}

fn infer(table: &Table, target: &str, group: Option<&str>) -> Schema {
    let mut wishes = Wishes::new(target_of(table, &[target.to_owned()]).unwrap());
    wishes.group = group.map(str::to_owned);
    Schema::infer(table, &wishes).unwrap()
}

fn kind(schema: &Schema, name: &str) -> MetadataKind {
    match &schema.column(name).unwrap().role {
        Role::Metadata(config) => config.kind,
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn print_all() {
    for (name, target) in [
        ("houses", "price"),
        ("leaf", "species"),
        ("figure1", "finding"),
        ("covid_cxr", "covid19"),
        ("covid_cxr", "finding_group"),
        ("cxr_lungs", "x0..y3"),
        ("frl_faces", "x0..y188"),
        ("udacity_faces", "x0..y67"),
    ] {
        let Some(table) = data(name) else { return };
        let schema = infer(&table, target, None);
        println!(
            "=== {name}\n{}",
            schema
                .to_toml("metadata.csv".as_ref())
                .lines()
                .filter(|l| !l.starts_with("shape")
                    && !l.starts_with("texture")
                    && !l.starts_with("margin"))
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
}
