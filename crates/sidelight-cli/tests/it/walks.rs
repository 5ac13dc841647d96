//! What people of several trades have, from their table to predictions.

use crate::cases::case;

/// Files of DICOM, a workbook from the office of records, decimals with a comma.
#[test]
fn a_clinic_has_dicom_files_and_a_workbook() {
    let folder = case("clinic");
    let said = folder.done("init records.xlsx --target Befund --out clinic.toml");
    for found in [
        "studies/{Studie}.dcm  image",
        "`0,5` is read as 0.5",
        "target, class",
    ] {
        assert!(said.stdout.contains(found), "{found}: {}", said.stdout);
    }
    // What the files say of the patient becomes metadata by its name; one says no age.
    let toml = folder.read("clinic.toml");
    let asked = "[metadata]\n\"dicom.PatientAge\" = \"continuous\"\n\"dicom.PatientSex\" = \"categorical\"\n";
    let at = toml.find("[metadata]").unwrap();
    let rest = toml[at..].split_once('\n').unwrap().1;
    folder.write("clinic.toml", &format!("{}{asked}{rest}", &toml[..at]));
    let said = folder.done("check clinic.toml");
    assert!(
        said.stderr.contains("32 rows and 32 images"),
        "{}",
        said.stderr
    );
    let said = folder.run("check clinic.toml --set metadata.\"dicom.PatienAge\"=continuous");
    assert_eq!(said.code, 1);
    assert!(
        said.stdout.contains("no column `dicom.PatienAge`"),
        "{}",
        said.stdout
    );

    // The bright square of the ill is within the window that the files say.
    let settings = "--set train.size=32 --set train.epochs=12 --set train.learning_rate=0.01";
    folder.done(&format!("train clinic.toml --out run {settings}"));
    let said = folder.done("eval run --format json");
    let scores: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let auroc = scores
        .as_array()
        .unwrap()
        .iter()
        .find(|score| score["metric"] == "auroc");
    assert_eq!(auroc.unwrap()["value"], 1.0, "{scores}");
    folder.done("predict run records.xlsx --keep Studie --out p.csv");
    let predicted = folder.read("p.csv");
    let lines: Vec<&str> = predicted.lines().collect();
    assert_eq!(lines.len(), 33);
    assert!(
        lines[1].starts_with("S0001,1,studies/S0001.dcm,unauffällig,"),
        "{}",
        lines[1]
    );
    let said = folder.done("explain run --format json");
    assert!(said.stdout.contains("dicom.PatientAge"), "{}", said.stdout);
    let said = folder.done("audit clinic.toml");
    assert!(said.stdout.contains("dicom.PatientAge"), "{}", said.stdout);
}
