use std::path::Path;

use super::*;

const PLANTS: &str = "image,plot,taken\n1.png,a,2026-05-02\n2.png,b,2026-05-02\n3.png,a,2026-05-09\n4.png,c,2026-05-09\n5.png,,2026-05-01\n6.png,a,2026-04-01\n";
const WEATHER: &str = "parcel,day,rain_mm,sky\na,2026-05-01,3.5,clear\na,2026-05-08,0,\nb,2026-05-02,7,grey\nb,2026-05-03,9,grey\n";

/// The configuration, where the two tables lie in a folder.
fn config(folder: &Path, join: &str, weather: &str) -> Config {
    std::fs::write(folder.join("plants.csv"), PLANTS).unwrap();
    std::fs::write(folder.join("weather.csv"), weather).unwrap();
    let text = format!(
        "[data]\ntable = \"plants.csv\"\nimage = \"image\"\njoin = {join}\n[target]\nkind = \"class\"\ncolumn = \"plot\"\n[metadata]\nrain_mm = \"continuous\"\n"
    );
    Config::parse(&text, &folder.join("sidelight.toml"), &[]).unwrap()
}

/// The cells of a column once joined, or why they cannot be.
fn joined(join: &str, weather: &str, column: &str) -> Result<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let table = config(folder.path(), join, weather).data.read_table()?;
    let cells = table.column(column)?;
    let text = |row| cells.cell(row).to_text().unwrap_or_default().into_owned();
    Ok((0..table.n_rows).map(text).collect())
}

const LATEST: &str =
    r#"{ table = "weather.csv", on = { plot = "parcel" }, latest = { taken = "day" } }"#;

#[test]
fn the_latest_row_that_is_not_later_is_taken() {
    let rain = joined(LATEST, WEATHER, "rain_mm").unwrap();
    // The day itself counts; plot c has no weather, the fifth no plot, the sixth only what came later.
    assert_eq!(rain, ["3.5", "7", "0", "", "", ""]);
    assert_eq!(
        joined(LATEST, WEATHER, "sky").unwrap(),
        ["clear", "grey", "", "", "", ""]
    );
    // By time alone.
    let by_day = r#"{ table = "weather.csv", latest = { taken = "day" } }"#;
    let one_a_day = "day,rain_mm\n2026-05-09,1\n2026-05-01,2\n";
    assert_eq!(
        joined(by_day, one_a_day, "rain_mm").unwrap(),
        ["2", "2", "1", "1", "2", ""]
    );
}

#[test]
fn rows_of_equal_cells_belong_together() {
    let on = r#"[{ table = "weather.csv", on = "plot" }]"#;
    let soil = "plot,rain_mm\n c ,1\na,2\n";
    assert_eq!(
        joined(on, soil, "rain_mm").unwrap(),
        ["2", "", "2", "1", "", "2"]
    );
    let both = r#"{ table = "weather.csv", on = ["plot", "taken"] }"#;
    let soil = "plot,taken,rain_mm\na,2026-05-09,5\n";
    assert_eq!(
        joined(both, soil, "rain_mm").unwrap(),
        ["", "", "5", "", "", ""]
    );
}

#[test]
fn what_cannot_be_joined_is_named_with_the_way_out() {
    let why = |join: &str, weather: &str| {
        let error = joined(join, weather, "rain_mm").unwrap_err();
        error.to_string()
    };
    let has = |text: String, parts: &[&str]| {
        parts
            .iter()
            .for_each(|part| assert!(text.contains(part), "{part}: {text}"));
    };
    let on = r#"{ table = "weather.csv", on = "plot" }"#;
    has(
        why(on, "plot,rain_mm\na,1\nb,2\na,3\n"),
        &["`latest` chooses", "row 1 (line 2)", "row 3 (line 4)"],
    );
    has(
        why(on, "plot,rain_mm,taken\na,1,2\n"),
        &["`taken`", "another name"],
    );
    has(
        why(on, "plot,rain_mm\nA,1\nB,2\n"),
        &["none: no `plot`", "A; B"],
    );
    has(
        why(on, "plots,rain_mm\na,1\n"),
        &["no column `plot` in", "weather.csv"],
    );
    let said = why(LATEST, &WEATHER.replace("2026-05-08", "soon"));
    has(said, &["weather.csv, row 2 (line 3), column `day`", "soon"]);
    has(
        why(r#"{ table = "weather.csv" }"#, WEATHER),
        &["data.join.on"],
    );
    has(
        why(r#"{ table = "climate.csv", on = "plot" }"#, WEATHER),
        &["climate.csv"],
    );
}

#[test]
fn what_has_all_columns_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), LATEST, WEATHER);
    let table = config.data.read_table().unwrap();
    assert_eq!(table.remarks.len(), 1, "{:?}", table.remarks);
    assert!(
        table.remarks[0].starts_with("3 rows of 6 have no row in"),
        "{:?}",
        table.remarks
    );
    let again = Joins::open(&config.data)
        .unwrap()
        .apply(table.clone())
        .unwrap();
    assert_eq!(again.names(), table.names());
    // The model reads `rain_mm` alone: a new table that has it needs no other.
    std::fs::remove_file(folder.path().join("weather.csv")).unwrap();
    let names = |names: &[&str]| -> Vec<String> { names.iter().map(|n| (*n).into()).collect() };
    let joins = Joins::for_new_rows(&config, &names(&["image", "rain_mm"])).unwrap();
    assert!(joins.files().is_empty());
    assert!(Joins::for_new_rows(&config, &names(&["image", "plot", "taken"])).is_err());
}
