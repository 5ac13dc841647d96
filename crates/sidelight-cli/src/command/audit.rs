//! `sidelight audit CONFIG`

use sidelight::audit::{Advice, Audit, Power, audit};
use sidelight::config::MetadataKind;
use sidelight::report::audit_page;
use sidelight::run::write_whole;

use super::weights::read_alone;
use super::{Answer, counting_images};
use crate::args::AuditArgs;
use crate::terminal::{Cell, Table, Terminal};

/// Looks at columns and images before anything is trained; the answer is no where a column in use should go.
pub(crate) fn run(args: &AuditArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let config = read_alone(&args.config, &args.set)?;
    let (found, dataset) = counting_images(terminal, |on_progress| audit(&config, on_progress))?;
    found.remarks.iter().for_each(|remark| terminal.say(remark));
    terminal.table(&table(&found), args.format)?;
    for finding in &found.findings {
        terminal.warn(finding.to_string());
    }
    if let Some(path) = &args.out {
        let html = audit_page(
            &found,
            &args.config.display().to_string(),
            &config,
            &dataset,
        );
        write_whole(path, |file| file.write_all(html.as_bytes()))?;
        terminal.say(format!("page: {}", path.display()));
    }
    terminal.say(found.sentence());
    Ok(match found.count(Advice::Drop) {
        0 => Answer::Done,
        _ => Answer::No,
    })
}

fn table(found: &Audit) -> Table {
    let mut table = Table::new([
        "column", "used", "kind", "missing", "distinct", "alone", "p", "gaps", "p_gaps", "shift",
        "advice", "reason",
    ]);
    for column in &found.columns {
        let rounded = |number: Option<f64>| number.map_or(Cell::Empty, Cell::Rounded);
        let score = |power: Option<Power>| rounded(power.map(|power| power.score));
        let p = |power: Option<Power>| rounded(power.map(|power| power.p));
        table.push([
            column.name.as_str().into(),
            if column.used { "yes" } else { "no" }.into(),
            kind(column.kind).into(),
            column.missing.into(),
            column.distinct.into(),
            score(column.alone),
            p(column.alone),
            score(column.gaps),
            p(column.gaps),
            rounded(column.shift.map(|shift| shift.distance)),
            column.advice.to_string().into(),
            column.reason().into(),
        ]);
    }
    table
}

fn kind(kind: MetadataKind) -> &'static str {
    match kind {
        MetadataKind::Boolean => "boolean",
        MetadataKind::Continuous => "continuous",
        MetadataKind::Categorical => "categorical",
        MetadataKind::Datetime => "datetime",
    }
}
