//! The encoder inside the graph: one input a column, the dense slots and the codes out.

use std::collections::HashSet;

use crate::dataset::{Metadata, MetadataColumn, MetadataValues};
use crate::encode::category::{CategoryForm, FIRST, MISSING, UNKNOWN, codes_of};
use crate::encode::datetime::Datetime;
use crate::encode::number::{Number, Transform};
use crate::encode::{EncodedColumn, Encoder, Fitted};
use crate::error::Result;
use crate::network::GraphMetadata;
use crate::onnx::proto::Type;
use crate::onnx::{Attr, Axis, Graph};

/// Declares an input of each column and encodes them. `names` are the inputs', one a column; `missing` the spellings of
/// the whole table.
pub(super) fn read(
    graph: &mut Graph,
    encoder: &Encoder,
    names: &[String],
    missing: &[String],
) -> Result<GraphMetadata> {
    let mut encoded = GraphMetadata::default();
    let mut blocks = Vec::new();
    for (column, name) in encoder.columns.iter().zip(names) {
        let spellings: Vec<&str> = missing
            .iter()
            .chain(&column.config.missing)
            .map(|spelling| spelling.trim())
            .collect();
        let (kind, doc) = match &column.fitted {
            Fitted::Category(_) => (Type::String, "a name, trimmed; empty: missing"),
            Fitted::Boolean => (Type::Double, "1 true, 0 false; NaN: missing"),
            Fitted::Datetime(_) => (
                Type::Double,
                "seconds since 1970-01-01T00:00:00; NaN: missing",
            ),
            Fitted::Number(_) => (Type::Double, "a number in the column's unit; NaN: missing"),
        };
        graph.input(name, kind, &[Axis::Any("n")], doc);
        graph.at(&place(name));
        // Of an ensemble each member has its own encoding, side by side.
        for part in column.parts() {
            let Fitted::Category(category) = &part.fitted else {
                blocks.push(numbers(graph, part, name, &spellings));
                continue;
            };
            let code = code(graph, part, &category.names, name, &spellings);
            match category.form {
                CategoryForm::Embedding => encoded.codes.push(code),
                CategoryForm::OneHot => {
                    let (rows, width) = rows_of_codes(part, &category.names)?;
                    let rows = graph.floats(&[category.n_codes(), width], &rows);
                    blocks.push(graph.binary("Gather", &rows, &code)); // [n, width]
                }
            }
        }
    }
    if !blocks.is_empty() {
        graph.at("metadata");
        let blocks: Vec<&str> = blocks.iter().map(String::as_str).collect();
        encoded.dense = Some(graph.concat(&blocks, 1));
    }
    Ok(encoded)
}

fn place(name: &str) -> String {
    format!("metadata/{name}")
}

/// The code of each name: an exact one, or another spelling of the same number.
fn code(
    graph: &mut Graph,
    column: &EncodedColumn,
    names: &[String],
    input: &str,
    missing: &[&str],
) -> String {
    // Of a column without a value in training nothing was learned: all is missing.
    let is_known = column.known > 0;
    let named = || names.iter().enumerate().filter(|_| is_known);
    let others: Vec<(usize, String)> = named()
        .flat_map(|(i, name)| spellings(name).into_iter().map(move |other| (i, other)))
        .collect();
    let found = codes_of(names, others.iter().map(|(_, other)| other.as_str()));
    let others = others.into_iter().zip(found);

    let own = |i: usize| i64::from(FIRST) + i as i64;
    let missing = std::iter::once("").chain(missing.iter().copied());
    let pairs = missing
        .map(|spelling| (spelling.to_owned(), i64::from(MISSING)))
        .chain(named().map(|(i, name)| (name.clone(), own(i))))
        .chain(
            others.filter_map(|((i, other), found)| (found == Some(i)).then(|| (other, own(i)))),
        );
    let mut known = HashSet::new();
    let (keys, codes): (Vec<String>, Vec<i64>) =
        pairs.filter(|(key, _)| known.insert(key.clone())).unzip();
    let default = i64::from(if is_known { UNKNOWN } else { MISSING });
    graph.call_ml(
        "LabelEncoder",
        &[input],
        &[
            ("keys_strings", Attr::Texts(&keys)),
            ("values_int64s", Attr::Ints(&codes)),
            ("default_int64", Attr::Int(default)),
        ],
    )
}

/// Other ways to write a name that is a number: `98021.0` for `98021`, `2139` for `02139`.
fn spellings(name: &str) -> Vec<String> {
    let Some(number) = name.parse::<f64>().ok().filter(|x| x.is_finite()) else {
        return Vec::new();
    };
    let plain = number.to_string();
    vec![format!("{name}.0"), format!("{plain}.0"), plain]
}

/// What the encoder itself makes of each code: `[n_codes, width]`, and the width.
fn rows_of_codes(column: &EncodedColumn, names: &[String]) -> Result<(Vec<f32>, usize)> {
    let mut unknown = "\u{1}".to_owned();
    while names.contains(&unknown) {
        unknown.push('\u{1}');
    }
    let n_codes = names.len() + FIRST as usize;
    let names = std::iter::once(unknown).chain(names.iter().cloned());
    let values = MetadataValues::Categorical {
        names: names.collect(),
        codes: std::iter::once(None)
            .chain((0..n_codes as u32 - 1).map(Some))
            .collect(),
    };
    let metadata = Metadata {
        columns: vec![MetadataColumn {
            name: column.name.clone(),
            values,
        }],
        n_rows: n_codes,
    };
    let column = EncodedColumn {
        members: Vec::new(),
        ..column.clone()
    };
    let encoder = Encoder {
        columns: vec![column],
    };
    let (encoded, _) = encoder.encode(&metadata)?;
    Ok((encoded.dense, encoded.d_dense))
}

/// The slots of a column that is no category, and its flag: `[n, width]`.
fn numbers(graph: &mut Graph, column: &EncodedColumn, input: &str, missing: &[&str]) -> String {
    let x = graph.unsqueeze(input, &[1]); // [n, 1]
    let mut known = match &column.fitted {
        Fitted::Boolean => {
            let [yes, no] = [1.0, 0.0].map(|value| is(graph, &x, value));
            graph.binary("Or", &yes, &no)
        }
        _ => {
            // Neither NaN nor an infinity.
            let size = graph.unary("Abs", &x);
            let most = graph.double(f64::INFINITY);
            graph.binary("Less", &size, &most)
        }
    };
    if column.known == 0 {
        // Nothing equals NaN: of a column without a value in training nothing was learned, all is missing.
        let never = is(graph, &x, f64::NAN);
        known = graph.binary("And", &known, &never);
    }
    let finite = |text: &&str| text.parse::<f64>().ok().filter(|x| x.is_finite());
    for spelt in missing.iter().filter_map(finite) {
        let spelt = is(graph, &x, spelt);
        let other = graph.unary("Not", &spelt);
        known = graph.binary("And", &known, &other);
    }
    let flag = graph.cast(&known, Type::Float);
    // What is not known is no number to compute with; its slots are set to 0 by the flag.
    let zero = graph.double(0.0);
    let x = graph.call("Where", &[&known, &x, &zero], &[]);
    let slots = match &column.fitted {
        Fitted::Boolean => {
            let two = graph.double(2.0);
            let one = graph.double(1.0);
            let doubled = graph.binary("Mul", &x, &two);
            let signed = graph.binary("Sub", &doubled, &one);
            graph.cast(&signed, Type::Float)
        }
        Fitted::Number(Number {
            transform: Transform::Periodic { period },
            ..
        }) => circle(graph, &x, *period),
        Fitted::Number(number) => standardized(graph, number, &x),
        Fitted::Datetime(datetime) => moment(graph, datetime, &x),
        Fitted::Category(_) => unreachable!("categories are text"),
    };
    let slots = graph.binary("Mul", &slots, &flag);
    graph.concat(&[&slots, &flag], 1)
}

fn is(graph: &mut Graph, x: &str, value: f64) -> String {
    let value = graph.double(value);
    graph.binary("Equal", x, &value)
}

/// `soft((f(x) − mean) / sd)`; see [`Number`].
fn standardized(graph: &mut Graph, number: &Number, x: &str) -> String {
    let y = match &number.transform {
        Transform::Linear | Transform::Periodic { .. } => x.to_owned(),
        Transform::Log { unit } => logarithm(graph, x, *unit),
        Transform::Quantile { knots, slope } => interpolated(graph, x, knots, *slope),
    };
    let (mean, sd) = (graph.double(number.mean), graph.double(number.sd));
    let z = graph.binary("Sub", &y, &mean);
    let z = graph.binary("Div", &z, &sd);
    let (lowest, highest) = (graph.double(f64::MIN), graph.double(f64::MAX));
    let z = graph.binary("Max", &z, &lowest);
    let z = graph.binary("Min", &z, &highest);
    // Up to 10 as it is, logarithmic beyond.
    let (clamp, below, one) = (graph.double(10.0), graph.double(9.0), graph.double(1.0));
    let (sign, size) = (graph.unary("Sign", &z), graph.unary("Abs", &z));
    let near = graph.binary("Min", &size, &clamp);
    let over = graph.binary("Sub", &size, &below);
    let over = graph.binary("Max", &over, &one);
    let over = graph.unary("Log", &over);
    let soft = graph.binary("Add", &near, &over);
    let soft = graph.binary("Mul", &soft, &sign);
    graph.cast(&soft, Type::Float)
}

/// `sign(x) ln(1 + |x| / unit)`.
fn logarithm(graph: &mut Graph, x: &str, unit: f64) -> String {
    let (unit, one) = (graph.double(unit), graph.double(1.0));
    let largest = graph.double(f64::MAX.ln());
    let (sign, size) = (graph.unary("Sign", x), graph.unary("Abs", x));
    let size = graph.binary("Div", &size, &unit);
    let size = graph.binary("Add", &size, &one);
    let size = graph.unary("Log", &size);
    let size = graph.binary("Min", &size, &largest);
    graph.binary("Mul", &size, &sign)
}

/// Piecewise linear between the knots, and with `slope` beyond them.
fn interpolated(graph: &mut Graph, x: &str, knots: &[[f64; 2]], slope: f64) -> String {
    let Some(first) = knots.first() else {
        let zero = graph.double(0.0);
        return graph.binary("Mul", x, &zero);
    };
    // The piece k begins at knot k − 1; the first one goes back from knot 0.
    let starts: Vec<&[f64; 2]> = std::iter::once(first).chain(knots).collect();
    let inner = knots.windows(2).map(|pair| {
        let [low, high] = [pair[0], pair[1]];
        (high[1] - low[1]) / (high[0] - low[0])
    });
    let slopes: Vec<f64> = std::iter::once(slope).chain(inner).chain([slope]).collect();
    let column = |graph: &mut Graph, values: Vec<f64>| graph.doubles(&[values.len()], &values);
    let places = column(graph, knots.iter().map(|knot| knot[0]).collect());
    let from = column(graph, starts.iter().map(|knot| knot[0]).collect());
    let to = column(graph, starts.iter().map(|knot| knot[1]).collect());
    let slopes = column(graph, slopes);
    let above = graph.binary("GreaterOrEqual", x, &places); // [n, knots]
    let above = graph.cast(&above, Type::Int64);
    let axis = graph.ints(&[1]);
    let piece = graph.call("ReduceSum", &[&above, &axis], &[("keepdims", Attr::Int(1))]); // [n, 1]
    let [from, to, slopes] =
        [from, to, slopes].map(|values| graph.binary("Gather", &values, &piece));
    let y = graph.binary("Sub", x, &from);
    let y = graph.binary("Mul", &y, &slopes);
    graph.binary("Add", &y, &to)
}

/// What is left of `x / by`, from 0 on.
fn remainder(graph: &mut Graph, x: &str, by: f64) -> String {
    let by = graph.double(by);
    let turns = graph.binary("Div", x, &by);
    let turns = graph.unary("Floor", &turns);
    let whole = graph.binary("Mul", &turns, &by);
    graph.binary("Sub", x, &whole)
}

/// Sine and cosine of a number in [0, 1) as a turn: `[n, 2]`.
fn of_turn(graph: &mut Graph, turn: &str) -> String {
    let turn = graph.cast(turn, Type::Float);
    let whole = graph.float(std::f32::consts::TAU);
    let angle = graph.binary("Mul", &turn, &whole);
    let (sine, cosine) = (graph.unary("Sin", &angle), graph.unary("Cos", &angle));
    graph.concat(&[&sine, &cosine], 1)
}

fn circle(graph: &mut Graph, x: &str, period: f64) -> String {
    let period = graph.double(period);
    let turns = graph.binary("Div", x, &period);
    let turn = remainder(graph, &turns, 1.0);
    of_turn(graph, &turn)
}

const DAY_S: f64 = 86_400.0;
const WEEK_S: f64 = 7.0 * DAY_S;

/// Time of day, of week, of year, and the trend: `[n, 7]`.
fn moment(graph: &mut Graph, datetime: &Datetime, x: &str) -> String {
    let turn_of = |graph: &mut Graph, x: &str, period: f64| {
        let rest = remainder(graph, x, period);
        let period = graph.double(period);
        graph.binary("Div", &rest, &period)
    };
    let day = turn_of(graph, x, DAY_S);
    // 1970-01-01 was a Thursday, three days after Monday.
    let three_days = graph.double(3.0 * DAY_S);
    let from_monday = graph.binary("Add", x, &three_days);
    let week = turn_of(graph, &from_monday, WEEK_S);
    let year = turn_of_year(graph, x, &day);
    let [day, week, year] = [day, week, year].map(|turn| of_turn(graph, &turn));
    let trend = standardized(graph, &datetime.trend, x);
    graph.concat(&[&day, &week, &year, &trend], 1)
}

/// How much of its year has passed, in [0, 1); `day`: of its day. Days beyond the years ±9999 count as their ends.
///
/// # Source
///
/// Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`: years from March on, in eras of 400.
fn turn_of_year(graph: &mut Graph, x: &str, day: &str) -> String {
    // −9999-01-01 and 9999-12-31.
    const FIRST_DAY: f64 = -4_371_587.0;
    const LAST_DAY: f64 = 2_932_896.0;
    let op = |graph: &mut Graph, op: &str, x: &str, value: f64| {
        let value = graph.double(value);
        graph.binary(op, x, &value)
    };
    let whole = |graph: &mut Graph, x: &str, by: f64| {
        let x = op(graph, "Div", x, by);
        graph.unary("Floor", &x)
    };
    // The calendar's day is that of the nearest millisecond.
    let ms = op(graph, "Mul", x, 1000.0);
    let ms = op(graph, "Add", &ms, 0.5);
    let ms = graph.unary("Floor", &ms);
    let days = whole(graph, &ms, 1000.0 * DAY_S);
    let days = op(graph, "Max", &days, FIRST_DAY);
    let days = op(graph, "Min", &days, LAST_DAY);
    let days = op(graph, "Add", &days, 719_468.0); // since 0000-03-01
    let of_era = remainder(graph, &days, 146_097.0);
    // Years of the era: its days without the leap days that were before.
    let mut years = of_era.clone();
    for (sign, every) in [("Sub", 1460.0), ("Add", 36_524.0), ("Sub", 146_096.0)] {
        let leaps = whole(graph, &of_era, every);
        years = graph.binary(sign, &years, &leaps);
    }
    let years = whole(graph, &years, 365.0);
    let before = op(graph, "Mul", &years, 365.0);
    let fourth = whole(graph, &years, 4.0);
    let hundredth = whole(graph, &years, 100.0);
    let before = graph.binary("Add", &before, &fourth);
    let before = graph.binary("Sub", &before, &hundredth);
    let from_march = graph.binary("Sub", &of_era, &before); // 0 is 1 March
    let is_next = op(graph, "GreaterOrEqual", &from_march, 306.0); // January and February
    let is_next = graph.cast(&is_next, Type::Double);
    let year = graph.binary("Add", &years, &is_next); // modulo 400
    let is_leap = leap(graph, &year);
    // From March on 59 days have passed, or 60; in January and February 306 of the March year.
    let later = op(graph, "Add", &from_march, 59.0);
    let later = graph.binary("Add", &later, &is_leap);
    let earlier = op(graph, "Sub", &from_march, 306.0);
    let is_next = op(graph, "Greater", &is_next, 0.5);
    let passed = graph.call("Where", &[&is_next, &earlier, &later], &[]);
    let passed = graph.binary("Add", &passed, day);
    let length = op(graph, "Add", &is_leap, 365.0);
    graph.binary("Div", &passed, &length)
}

/// 1 in a leap year, else 0.
fn leap(graph: &mut Graph, year: &str) -> String {
    let divides = |graph: &mut Graph, by: f64| {
        let rest = remainder(graph, year, by);
        let is = is(graph, &rest, 0.0);
        graph.cast(&is, Type::Double)
    };
    let (fourth, hundredth, all) = (
        divides(graph, 4.0),
        divides(graph, 100.0),
        divides(graph, 400.0),
    );
    let leap = graph.binary("Sub", &fourth, &hundredth);
    graph.binary("Add", &leap, &all)
}
