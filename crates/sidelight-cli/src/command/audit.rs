//! `sidelight audit CONFIG`

use sidelight::audit::{Advice, Audit, Power, audit};
use sidelight::report::audit_page;

use super::{Answer, counting_images};
use crate::args::audit::AuditArgs;
use crate::terminal::{Cell, Table, Terminal};

/// Audits columns and images before training; the answer is no if a column in use should be dropped.
pub(crate) fn run(args: &AuditArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let config = args.configured.read()?;
    let (found, dataset) = counting_images(terminal, |on_progress| audit(&config, on_progress))?;
    terminal.say_all(&found.remarks);
    terminal.table(&table(&found), args.printed.format)?;
    for finding in &found.findings {
        terminal.warn(finding.to_string());
    }
    let title = args.configured.config.display().to_string();
    args.page.write(terminal, || {
        Ok(audit_page(&found, &title, &config, &dataset))
    })?;
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
            column.kind.to_string().into(),
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
