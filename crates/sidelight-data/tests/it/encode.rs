use std::collections::BTreeMap;

use proptest::prelude::*;
use sidelight_data::config::{CategoryEncoding, MetadataConfig, MetadataKind, NumberScale};
use sidelight_data::dataset::{Metadata, MetadataColumn, MetadataValues};
use sidelight_data::encode::*;
use sidelight_data::error::Error;

fn column(name: &str, values: MetadataValues) -> MetadataColumn {
    MetadataColumn {
        name: name.into(),
        values,
    }
}

fn categories(cells: &[Option<&str>]) -> MetadataValues {
    let mut names: Vec<String> = Vec::new();
    let codes = cells.iter().map(|cell| {
        cell.map(|name| {
            let known = names.iter().position(|other| other == name);
            known.unwrap_or_else(|| {
                names.push(name.into());
                names.len() - 1
            }) as u32
        })
    });
    let codes = codes.collect();
    MetadataValues::Categorical { names, codes }
}

fn metadata(columns: Vec<MetadataColumn>) -> Metadata {
    let n_rows = columns.first().map_or(0, |column| match &column.values {
        MetadataValues::Boolean(values) => values.len(),
        MetadataValues::Continuous(values) | MetadataValues::Datetime(values) => values.len(),
        MetadataValues::Categorical { codes, .. } => codes.len(),
    });
    Metadata { columns, n_rows }
}

/// One column of each kind, four rows, the third all missing.
fn mixed() -> Metadata {
    metadata(vec![
        column(
            "dirty",
            MetadataValues::Boolean(vec![Some(true), Some(false), None, Some(true)]),
        ),
        column(
            "area",
            MetadataValues::Continuous(vec![Some(10.0), Some(20.0), None, Some(30.5)]),
        ),
        column(
            "side",
            categories(&[Some("left"), Some("right"), None, Some("left")]),
        ),
        column(
            "zip",
            categories(&[Some("98021"), Some("98021"), None, Some("98052")]),
        ),
        column(
            "taken",
            MetadataValues::Datetime(vec![Some(1.5e9), Some(1.6e9), None, Some(1.55e9)]),
        ),
    ])
}

fn configs() -> BTreeMap<String, MetadataConfig> {
    let side = MetadataConfig {
        flip: vec![["left".into(), "right".into()]],
        ..MetadataConfig::new(MetadataKind::Categorical)
    };
    let zip = MetadataConfig {
        encoding: CategoryEncoding::Embedding,
        ..MetadataConfig::new(MetadataKind::Categorical)
    };
    BTreeMap::from([("side".to_owned(), side), ("zip".to_owned(), zip)])
}

fn fitted() -> (Metadata, Encoder) {
    let metadata = mixed();
    let encoder = Encoder::fit(&metadata, &configs(), &[0, 1, 2, 3]).expect("fits");
    (metadata, encoder)
}

fn text(cells: &[(String, Option<String>)]) -> Vec<Option<&str>> {
    cells.iter().map(|(_, cell)| cell.as_deref()).collect()
}

#[test]
fn every_cell_is_decoded_as_it_was_read() {
    let (metadata, encoder) = fitted();
    let (encoded, unseen) = encoder.encode(&metadata).expect("encodes");
    assert_eq!(
        unseen.categories["zip"],
        BTreeMap::from([("98052".to_owned(), 1)])
    );
    let cells = encoder.decode(encoded.dense_row(3), encoded.codes_row(3));
    // 1.55e9 s; 98052 is in one training row only.
    let expected = [
        Some("true"),
        Some("30.5"),
        Some("left"),
        Some("(unknown)"),
        Some("2019-02-12T19:33:20"),
    ];
    assert_eq!(text(&cells), expected);
    let missing = encoder.decode(encoded.dense_row(2), encoded.codes_row(2));
    assert_eq!(text(&missing), [None; 5]);
}

#[test]
fn a_missing_row_is_all_missing_and_every_slot_has_a_name() {
    let (metadata, encoder) = fitted();
    let (encoded, _) = encoder.encode(&metadata).expect("encodes");
    let (dense, codes) = encoder.all_missing();
    assert_eq!(
        (encoded.dense_row(2), encoded.codes_row(2)),
        (&dense[..], &codes[..])
    );
    assert_eq!(encoder.slots().len(), encoder.d_dense());
    assert_eq!(encoded.d_dense, encoder.d_dense());
    let mut row = (encoded.dense_row(0).to_vec(), encoded.codes_row(0).to_vec());
    for column_idx in 0..5 {
        encoder.set_missing(column_idx, &mut row.0, &mut row.1);
    }
    assert_eq!(row, (dense, codes));
}

#[test]
fn numbers_and_times_keep_the_range_of_training_and_older_models_have_a_usual_one() {
    let encoder = Encoder::fit(&mixed(), &configs(), &[0, 1]).expect("fits");
    let ranges: Vec<_> = encoder.columns.iter().map(|column| column.range).collect();
    let (area, taken) = (Some([10.0, 20.0]), Some([1.5e9, 1.6e9]));
    assert_eq!(ranges, [None, area, None, None, taken]);
    assert_eq!(encoder.columns[1].usual(), [10.0, 20.0]);
    let mut older = encoder.columns[1].clone();
    older.range = None;
    // Mean 15, standard deviation 5.
    assert_eq!(older.usual(), [5.0, 25.0]);
}

#[test]
fn only_training_rows_are_fitted_on() {
    let metadata = mixed();
    let encoder = Encoder::fit(&metadata, &configs(), &[0, 1]).expect("fits");
    let mut other = metadata.clone();
    other.columns[1].values =
        MetadataValues::Continuous(vec![Some(10.0), Some(20.0), Some(-1e9), Some(1e9)]);
    other.columns[3].values = categories(&[Some("98021"), Some("98021"), Some("x"), Some("x")]);
    assert_eq!(
        encoder,
        Encoder::fit(&other, &configs(), &[0, 1]).expect("fits")
    );
}

#[test]
fn new_gaps_and_new_values_are_counted_and_said() {
    let metadata = metadata(vec![
        column(
            "a",
            MetadataValues::Continuous(vec![Some(1.0), Some(2.0), None]),
        ),
        column("b", MetadataValues::Continuous(vec![None, None, Some(3.0)])),
        column("c", categories(&[Some("x"), Some("x"), Some("y")])),
        column("d", categories(&[None, None, Some("y")])),
    ]);
    let encoder = Encoder::fit(&metadata, &BTreeMap::new(), &[0, 1]).expect("fits");
    let (encoded, unseen) = encoder.encode(&metadata).expect("encodes");
    assert_eq!(
        unseen.sentences(),
        [
            "`c` has 1 category that training saw in one row at most, in 1 row: y (1)",
            "`a` is missing in 1 row, in none of the training rows",
            "`b` has a value in 1 row but had none in training: taken as missing",
            "`d` has a value in 1 row but had none in training: taken as missing",
        ]
    );
    // c: `= x` (not there), missing, unknown (never trained: the average of one category is nothing)
    assert_eq!(
        encoded.dense_row(2),
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    );
}

#[test]
fn a_column_that_is_gone_or_changed_its_kind_is_named() {
    let (metadata, encoder) = fitted();
    let mut without = metadata.clone();
    without.columns[1].name = "areas".into();
    let error = encoder.encode(&without).expect_err("area is gone");
    assert_eq!(error.to_string(), "no metadata column `area`");
    assert_eq!(error.hint().as_deref(), Some("did you mean `areas`?"));
    let mut changed = metadata;
    changed.columns[1].values = MetadataValues::Boolean(vec![None; 4]);
    let error = encoder.encode(&changed).expect_err("area is boolean now");
    assert_eq!(
        error.to_string(),
        "metadata column `area`: expected continuous values, found boolean values"
    );
    let error = Encoder::fit(
        &without,
        &[(
            "area".to_owned(),
            MetadataConfig::new(MetadataKind::Continuous),
        )]
        .into(),
        &[],
    )
    .expect_err("configured but not there");
    assert!(matches!(error, Error::MissingMetadata { column, .. } if column == "area"));
}

#[test]
fn only_gaps_are_kept_where_that_is_asked_for() {
    let (metadata, encoder) = fitted();
    let (mut encoded, _) = encoder.encode(&metadata).expect("encodes");
    for row in 0..4 {
        let (dense, codes) = encoded.row_mut(row);
        encoder.keep_only_gaps(dense, codes);
    }
    assert_eq!(encoded.dense_row(0), encoded.dense_row(1));
    assert_eq!(encoded.codes_row(0), encoded.codes_row(3));
    assert_ne!(encoded.dense_row(0), encoded.dense_row(2));
    let (dense, codes) = encoder.all_missing();
    assert_eq!(
        (encoded.dense_row(2), encoded.codes_row(2)),
        (&dense[..], &codes[..])
    );
}

#[test]
fn an_embedding_has_fastais_width() {
    let (_, encoder) = fitted();
    assert_eq!(
        encoder.embeddings(),
        [Embedding {
            column: "zip".into(),
            n_codes: 3,
            width: 3
        }]
    );
}

#[test]
fn an_encoder_is_the_same_after_json() {
    let metadata = mixed();
    let quantile = MetadataConfig {
        scale: NumberScale::Quantile,
        ..MetadataConfig::new(MetadataKind::Continuous)
    };
    let mut configs = configs();
    configs.insert(metadata.columns[1].name.clone(), quantile);
    let encoder = Encoder::fit(&metadata, &configs, &[0, 1, 2, 3]).expect("fits");
    let json = serde_json::to_string(&encoder).expect("is JSON");
    assert_eq!(
        serde_json::from_str::<Encoder>(&json).expect("is an encoder"),
        encoder
    );
}

#[test]
fn no_columns_are_a_width_of_zero() {
    let metadata = Metadata {
        columns: vec![],
        n_rows: 3,
    };
    let encoder = Encoder::fit(&metadata, &BTreeMap::new(), &[0, 1]).expect("fits");
    let (encoded, _) = encoder.encode(&metadata).expect("encodes");
    assert_eq!(
        (encoded.n_rows, encoded.d_dense, encoded.dense_row(2).len()),
        (3, 0, 0)
    );
}

fn any_column() -> impl Strategy<Value = (MetadataValues, MetadataConfig)> {
    let n = 12;
    let number = prop::collection::vec(prop::option::weighted(0.7, -1e5..1e5f64), n);
    let scale = prop::sample::select(vec![
        NumberScale::Linear,
        NumberScale::Log,
        NumberScale::Quantile,
        NumberScale::Periodic,
    ]);
    let name = prop::sample::select(vec!["left", "right", "a", "b", "1", "2.0"]);
    let encoding =
        prop::sample::select(vec![CategoryEncoding::OneHot, CategoryEncoding::Embedding]);
    prop_oneof![
        prop::collection::vec(any::<Option<bool>>(), n).prop_map(|values| (
            MetadataValues::Boolean(values),
            MetadataConfig::new(MetadataKind::Boolean)
        )),
        (number, scale).prop_map(|(values, scale)| {
            let config = MetadataConfig {
                scale,
                period: Some(24.0),
                ..MetadataConfig::new(MetadataKind::Continuous)
            };
            (MetadataValues::Continuous(values), config)
        }),
        (
            prop::collection::vec(prop::option::weighted(0.7, name), n),
            encoding
        )
            .prop_map(|(cells, encoding)| {
                let flip = vec![["left".into(), "right".into()]];
                (
                    categories(&cells),
                    MetadataConfig {
                        encoding,
                        flip,
                        ..MetadataConfig::new(MetadataKind::Categorical)
                    },
                )
            }),
        prop::collection::vec(
            prop::option::weighted(0.7, -1_000_000_000..2_000_000_000i64),
            n
        )
        .prop_map(|values| {
            let values = values
                .into_iter()
                .map(|value| value.map(|s| s as f64))
                .collect();
            (
                MetadataValues::Datetime(values),
                MetadataConfig::new(MetadataKind::Datetime),
            )
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn encoding_is_of_constant_width_finite_flagged_reversible_and_flips_back(
        columns in prop::collection::vec(any_column(), 1..5),
        n_train in 0usize..12,
    ) {
        let named = columns.into_iter().enumerate().map(|(i, (values, config))| (format!("c{i}"), values, config));
        let (mut read, mut configs) = (Vec::new(), BTreeMap::new());
        for (name, values, config) in named {
            configs.insert(name.clone(), config);
            read.push(column(&name, values));
        }
        let metadata = metadata(read);
        let encoder = Encoder::fit(&metadata, &configs, &(0..n_train).collect::<Vec<_>>()).expect("fits");
        let (encoded, _) = encoder.encode(&metadata).expect("never fails on values");
        prop_assert_eq!(encoded.dense.len(), metadata.n_rows * encoder.slots().len());
        prop_assert!(encoded.dense.iter().all(|slot| slot.is_finite()));
        for row in 0..metadata.n_rows {
            let (dense, codes) = (encoded.dense_row(row), encoded.codes_row(row));
            for (embedding, &code) in encoder.embeddings().iter().zip(codes) {
                prop_assert!((code as usize) < embedding.n_codes);
            }
            for ((source, fitted), (_, reading)) in metadata.columns.iter().zip(&encoder.columns).zip(encoder.read(dense, codes)) {
                check_reading(&source.values, fitted, row, &reading)?;
            }
            let (mut flipped, mut flipped_codes) = (dense.to_vec(), codes.to_vec());
            encoder.flip(&mut flipped, &mut flipped_codes);
            encoder.flip(&mut flipped, &mut flipped_codes);
            prop_assert_eq!((&flipped[..], &flipped_codes[..]), (dense, codes));
        }
    }
}

fn check_reading(
    values: &MetadataValues,
    fitted: &EncodedColumn,
    row: usize,
    reading: &DecodedValue,
) -> std::result::Result<(), TestCaseError> {
    let known = fitted.known > 0;
    match (values, reading) {
        (MetadataValues::Boolean(v), reading) => {
            let expected = v[row]
                .filter(|_| known)
                .map_or(DecodedValue::Missing, DecodedValue::Boolean);
            prop_assert_eq!(reading, &expected);
        }
        (MetadataValues::Continuous(v) | MetadataValues::Datetime(v), DecodedValue::Missing) => {
            prop_assert!(v[row].is_none() || !known);
        }
        (MetadataValues::Continuous(v), DecodedValue::Number(x)) => {
            let value = v[row].expect("was read, so it was there");
            let error = match fitted.config.scale {
                NumberScale::Periodic => {
                    (((value - x) / 24.0 + 0.5).rem_euclid(1.0) - 0.5).abs() * 24.0
                }
                _ => (value - x).abs(),
            };
            // A wide gap between knots, or a value far out, is stretched: there the f32's precision is less.
            prop_assert!(
                error <= 0.05 + 1e-2 * value.abs(),
                "{value} was read as {x}"
            );
        }
        (MetadataValues::Datetime(v), DecodedValue::Datetime { seconds, .. }) => {
            prop_assert_eq!(v[row], Some(*seconds))
        }
        (MetadataValues::Categorical { names, codes }, reading) => {
            match (codes[row].filter(|_| known), reading) {
                (None, reading) => prop_assert_eq!(reading, &DecodedValue::Missing),
                (Some(code), DecodedValue::Category(name)) => {
                    prop_assert_eq!(name, &category::canonical(&names[code as usize]))
                }
                (Some(_), reading) => prop_assert_eq!(reading, &DecodedValue::Unknown),
            }
        }
        (_, reading) => prop_assert!(false, "{reading:?}"),
    }
    Ok(())
}

#[test]
fn members_of_an_ensemble_are_encoded_side_by_side_each_as_it_was_fitted() {
    let metadata = mixed();
    let of = |rows: &[usize]| Encoder::fit(&metadata, &configs(), rows).expect("fits");
    let (whole, members) = (of(&[0, 1, 2, 3]), [of(&[0, 1]), of(&[1, 2, 3])]);
    let joined = whole.clone().with_members(&members);
    assert_eq!(joined.misfit(), None);
    let (mut encoded, unseen) = joined.encode(&metadata).expect("encodes");
    let (plain, plain_unseen) = whole.encode(&metadata).expect("encodes");
    assert_eq!(
        unseen, plain_unseen,
        "what is new is what all have not seen"
    );
    let own = |encoded: &sidelight_data::encode::EncodedMetadata, row: usize, member: usize| {
        let (dense, codes) = joined.places_of_member(member);
        let dense: Vec<f32> = dense.iter().map(|&at| encoded.dense_row(row)[at]).collect();
        let codes: Vec<u32> = codes.iter().map(|&at| encoded.codes_row(row)[at]).collect();
        (dense, codes)
    };
    for (at, member) in members.iter().enumerate() {
        let (alone, _) = member.encode(&metadata).expect("encodes");
        for row in 0..4 {
            let wanted = (alone.dense_row(row).to_vec(), alone.codes_row(row).to_vec());
            assert_eq!(own(&encoded, row, at), wanted, "row {row} of member {at}");
        }
    }
    assert_ne!(own(&encoded, 0, 0), own(&encoded, 0, 1));
    assert_eq!(joined.slots().len(), joined.d_dense());
    for row in 0..4 {
        let decoded = joined.decode(encoded.dense_row(row), encoded.codes_row(row));
        assert_eq!(
            decoded,
            whole.decode(plain.dense_row(row), plain.codes_row(row))
        );
    }
    // What is made missing, or flipped, is so for every member.
    let (dense, codes) = encoded.row_mut(0);
    joined.flip(dense, codes);
    let (mut alone, _) = members[1].encode(&metadata).expect("encodes");
    let (dense, codes) = alone.row_mut(0);
    members[1].flip(dense, codes);
    assert_eq!(own(&encoded, 0, 1), (dense.to_vec(), codes.to_vec()));
    let (dense, codes) = encoded.row_mut(0);
    (0..5).for_each(|column| joined.set_missing(column, dense, codes));
    assert_eq!((dense.to_vec(), codes.to_vec()), joined.all_missing());
    assert_eq!(own(&encoded, 0, 1), members[1].all_missing());
}
