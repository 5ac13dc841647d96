//! One loss per task, stable, with its formula.
