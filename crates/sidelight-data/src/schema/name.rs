//! What a column's name suggests: a subject, an identifier, a code, a part.

use crate::kind::Split;

/// Beings that several images can be of: rows that share one must stay in one part.
const BEINGS: &[&str] = &[
    "patient",
    "person",
    "people",
    "subject",
    "participant",
    "user",
    "individual",
    "donor",
    "family",
    "household",
];

/// Things that several images can be of, whose name may as well be that of a kind: `plant`, tomato or potato.
const THINGS: &[&str] = &[
    "animal", "case", "lesion", "specimen", "session", "video", "scene", "clip", "sequence",
    "study", "series", "slide", "plant", "tree", "eye",
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
    let is = |text: &str| is_in(BEINGS, text) || is_in(THINGS, text);
    is(&all)
        || IDENTIFIER_ENDS
            .iter()
            .any(|end| all.strip_suffix(end).is_some_and(is))
}

/// Whether it is the bare name of a thing, which a kind of thing could have as well: `plant`, not `plant_id`.
pub(super) fn may_be_kind(name: &str) -> bool {
    is_in(THINGS, &words(name).concat())
}

fn is_in(names: &[&str], text: &str) -> bool {
    let one = text.strip_suffix('s');
    names.contains(&text) || one.is_some_and(|one| names.contains(&one))
}

/// The part that a row is in for which a column of this name says true: `is_valid`, `training`, `test_set`.
pub(super) fn part_flag(name: &str) -> Option<Split> {
    let words = words(name);
    let n_words = words.len();
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.retain(|word| {
        ![
            "is", "in", "set", "image", "row", "split", "part", "for", "use",
        ]
        .contains(word)
    });
    match words[..] {
        ["holdout"] | ["hold", "out"] | ["held", "out"] => Some(Split::Valid),
        [word] => {
            let rest = word
                .strip_prefix("is")
                .filter(|rest| Split::named(rest).is_some());
            // A test may be one of blood, and a measurement valid.
            let is_bare = n_words == 1 && rest.is_none();
            let part = Split::named(rest.unwrap_or(word));
            part.filter(|_| !is_bare || !["test", "testing", "valid", "dev"].contains(&word))
        }
        _ => None,
    }
}

/// Whether it may say how much a row counts: `sample_weight`, `weights`, and `weight`, which may be one in kilograms.
pub(super) fn is_weight(name: &str) -> bool {
    let whose = ["", "sample", "row", "case", "survey", "instance"];
    let all = words(name).concat();
    let weight = all.strip_suffix("weight").or(all.strip_suffix("weights"));
    weight.is_some_and(|of| whose.contains(&of))
}

/// Whether it is the number of a fold: `fold`, `kfold`, `cv_fold`.
pub(super) fn is_fold(name: &str) -> bool {
    let folds = ["fold", "folds", "kfold", "cvfold", "foldid"];
    words(name)
        .iter()
        .any(|word| folds.contains(&word.as_str()))
}

/// Whether it is the name of a division, whatever its values: `split`, `subset`, `partition`.
pub(super) fn is_division(name: &str) -> bool {
    let names = ["split", "subset", "partition"];
    let words = words(name);
    let last = words.last().map(String::as_str);
    words.len() <= 2 && last.is_some_and(|last| names.contains(&last))
}

/// Whether it is the name of a quantity: `age_years`, `n_seeds`, `count`.
pub(super) fn is_quantity(name: &str) -> bool {
    let quantities = [
        "age",
        "ages",
        "year",
        "years",
        "month",
        "months",
        "day",
        "days",
        "hour",
        "hours",
        "minutes",
        "seconds",
        "count",
        "counts",
        "n",
        "num",
        "total",
        "sum",
        "amount",
        "price",
        "cost",
        "weight",
        "height",
        "width",
        "length",
        "depth",
        "area",
        "volume",
        "size",
        "distance",
        "diameter",
        "temperature",
        "temp",
        "speed",
        "percent",
        "percentage",
        "mass",
        "yield",
        "kg",
        "cm",
        "mm",
    ];
    let words = words(name);
    // `count_class` is one, `class_count` counts.
    let first = words
        .first()
        .is_some_and(|word| ["n", "num", "number"].contains(&word.as_str()));
    first
        || words
            .last()
            .is_some_and(|word| quantities.contains(&word.as_str()))
        || words.first().is_some_and(|word| word == "age")
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
    fn names_of_parts_are_told_from_others() {
        for (name, part) in [
            ("is_valid", Some(Split::Valid)),
            ("isValid", Some(Split::Valid)),
            ("training", Some(Split::Train)),
            ("is_training_image", Some(Split::Train)),
            ("istrain", Some(Split::Train)),
            ("test_set", Some(Split::Test)),
            ("holdout", Some(Split::Valid)),
            ("trained", None),
            ("test_result", None),
            ("test", None),
            ("valid", None),
            ("is_smoker", None),
        ] {
            assert_eq!(part_flag(name), part, "{name}");
        }
        for name in ["fold", "Fold", "kfold", "cv_fold", "fold_id"] {
            assert!(is_fold(name), "{name}");
        }
        assert!(!is_fold("unfolded"));
        assert!(is_division("split") && is_division("data_split") && !is_division("age"));
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
