//! What a column's name suggests: a subject, an identifier, a code.

/// Things that several images can be of: rows that share one must stay in one part.
const SUBJECTS: &[&str] = &[
    "patient",
    "person",
    "people",
    "subject",
    "participant",
    "user",
    "individual",
    "animal",
    "donor",
    "case",
    "lesion",
    "specimen",
    "family",
    "household",
    "session",
    "video",
    "scene",
    "clip",
    "sequence",
    "study",
    "series",
    "slide",
    "plant",
    "tree",
    "eye",
];

/// Ends of names of identifiers.
const IDENTIFIER_ENDS: &[&str] = &[
    "identifier",
    "number",
    "name",
    "uuid",
    "guid",
    "code",
    "hash",
    "key",
    "num",
    "uid",
    "id",
    "no",
    "nr",
];

/// Words of names whose numbers name something instead of measuring it.
const CODES: &[&str] = &[
    "zip", "zipcode", "postcode", "postal", "plz", "code", "fips", "icd", "sku", "phone", "type",
    "category", "class", "label", "cluster", "brand", "vendor", "device", "camera", "scanner",
    "station", "site", "hospital", "center", "centre", "clinic", "country", "state", "region",
    "district", "ward", "id",
];

/// The words of a name in lower case: `patientID` and `patient_id` are `patient`, `id`.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before: Option<char> = None;
    for c in name.chars() {
        let starts_word = c.is_uppercase() && before.is_some_and(char::is_lowercase);
        if (!c.is_alphanumeric() || starts_word) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Whether it names a subject, as `patientid`, `Person` or `lesion_id` do, and `patient_age` does not.
pub(super) fn is_subject(name: &str) -> bool {
    let all = words(name).concat();
    let is = |text: &str| {
        SUBJECTS.contains(&text)
            || text
                .strip_suffix('s')
                .is_some_and(|one| SUBJECTS.contains(&one))
    };
    is(&all)
        || IDENTIFIER_ENDS
            .iter()
            .any(|end| all.strip_suffix(end).is_some_and(is))
}

/// Whether it names an identifier: `id`, `image_id`, `uuid`, `index`, an unnamed first column.
pub(super) fn is_identifier(name: &str) -> bool {
    let words = words(name);
    let whole = [
        "id",
        "uid",
        "uuid",
        "guid",
        "key",
        "hash",
        "md5",
        "sha256",
        "index",
        "idx",
        "row",
        "serial",
        "barcode",
        "accession",
    ];
    words
        .last()
        .is_some_and(|last| whole.contains(&last.as_str()))
        || name.starts_with("column ")
        || name.starts_with("Unnamed")
}

/// Whether its numbers are codes rather than quantities: `zipcode`, `area_code`, `camera type`.
pub(super) fn is_code(name: &str) -> bool {
    let words = words(name);
    words.iter().any(|word| CODES.contains(&word.as_str()))
        || ["zipcode", "postcode", "postalcode"].contains(&words.concat().as_str())
}

/// Whether it says when something was.
pub(super) fn is_time(name: &str) -> bool {
    let times = [
        "date",
        "day",
        "time",
        "datetime",
        "timestamp",
        "taken",
        "acquired",
        "birthday",
        "dob",
    ];
    words(name)
        .iter()
        .any(|word| times.contains(&word.as_str()) || word.ends_with("date"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_subjects_are_told_from_names_about_them() {
        for name in [
            "patientid",
            "patient_id",
            "PatientID",
            "person",
            "Subject",
            "lesion_id",
            "user name",
            "cases",
            "participantNo",
        ] {
            assert!(is_subject(name), "{name}");
        }
        for name in ["patient_age", "id", "personality", "in_case", "price", ""] {
            assert!(!is_subject(name), "{name}");
        }
    }

    #[test]
    fn names_of_codes_are_told_from_names_of_quantities() {
        for name in ["zipcode", "zip_code", "ZipCode", "area code", "camera_type"] {
            assert!(is_code(name), "{name}");
        }
        for name in ["area", "bedrooms", "decoded", "offset_days", "temperature"] {
            assert!(!is_code(name), "{name}");
        }
    }
}
