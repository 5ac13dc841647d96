//! Training and comparing, with progress, and Ctrl-C as Python has it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use serde_json::{Value, json};
use sidelight::Config;
use sidelight::compare::{CompareOptions, Compared, Earlier, Event as CompareEvent, Speed};
use sidelight::run::Existing;
use sidelight::train::{Event, TrainOptions};
use sidelight_cli::embed::{configuration, feature_cache};

use crate::error::Failed;

/// Who is told of what happens, and whether Python wants to stop: a callback that raised, Ctrl-C.
pub(crate) struct Listener {
    callback: Option<Py<PyAny>>,
    stop: AtomicBool,
    raised: std::sync::Mutex<Option<PyErr>>,
}

impl Listener {
    pub(crate) fn new(callback: Option<Py<PyAny>>) -> Self {
        Self {
            callback,
            stop: AtomicBool::new(false),
            raised: std::sync::Mutex::new(None),
        }
    }

    /// Tells of an event, as JSON.
    pub(crate) fn tell(&self, event: &Value) {
        let told = Python::attach(|py| {
            py.check_signals()?;
            if let Some(callback) = self.callback.as_ref().filter(|_| !event.is_null()) {
                callback.call1(py, (event.to_string(),))?;
            }
            PyResult::Ok(())
        });
        if let Err(error) = told {
            self.stop.store(true, Ordering::Relaxed);
            if let Ok(mut raised) = self.raised.lock() {
                raised.get_or_insert(error);
            }
        }
    }

    /// Whether Python wants to stop.
    pub(crate) fn stopped(&self) -> &AtomicBool {
        &self.stop
    }

    /// What was raised meanwhile, if anything was.
    pub(crate) fn outcome(self) -> Result<(), Failed> {
        match self.raised.into_inner().ok().flatten() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

/// Whether such a configuration can be read: its resolved form, as JSON.
#[pyfunction]
pub(crate) fn settings(text: &str, path: PathBuf, sets: Vec<String>) -> Result<String, Failed> {
    let config = Config::parse(text, &path, &sets)?;
    Ok(serde_json::to_string(&config).map_err(anyhow::Error::from)?)
}

/// Trains into the folder `out`; returns whether it came to its end.
#[pyfunction]
#[pyo3(signature = (text, path, sets, out, existing, on_event=None))]
pub(crate) fn train(
    py: Python<'_>,
    text: &str,
    path: PathBuf,
    sets: Vec<String>,
    out: PathBuf,
    existing: &str,
    on_event: Option<Py<PyAny>>,
) -> Result<bool, Failed> {
    let listener = Listener::new(on_event);
    let existing = match existing {
        "resume" => Existing::Resume,
        "overwrite" => Existing::Overwrite,
        _ => Existing::Refuse,
    };
    let trained = py.detach(|| {
        let config = configuration(text, &path, &sets)?;
        let mut on_event = |event: Event| listener.tell(&of_training(&event));
        let options = TrainOptions {
            existing,
            cache: feature_cache(),
            stop: Some(&listener.stop),
            on_event: Some(&mut on_event),
            ..TrainOptions::new(out)
        };
        anyhow::Ok(sidelight::train(&config, options)?)
    });
    listener.outcome()?;
    Ok(!trained?.stopped)
}

/// An event as log.jsonl has it, with what only a person is told.
fn of_training(event: &Event) -> Value {
    if let Event::Features { done, rows } = event {
        return json!({"event": "features", "done": done, "rows": rows});
    }
    let mut value = serde_json::to_value(event).unwrap_or_default();
    if let (
        Value::Object(fields),
        Event::Step {
            step,
            steps,
            total_steps,
            seconds_left,
            ..
        },
    ) = (&mut value, event)
    {
        fields.insert("step".into(), json!(step));
        fields.insert("steps".into(), json!(steps));
        fields.insert("total_steps".into(), json!(total_steps));
        fields.insert("seconds_left".into(), json!(seconds_left));
    }
    value
}

/// How a comparison is made.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Comparing {
    quick: bool,
    folds: usize,
    seeds: usize,
    arms: Vec<String>,
    metric: Option<String>,
    overwrite: bool,
}

/// Compares arms into the folder `out`; returns whether there is an answer.
#[pyfunction]
#[pyo3(signature = (text, path, sets, out, options, on_event=None))]
pub(crate) fn compare(
    py: Python<'_>,
    text: &str,
    path: PathBuf,
    sets: Vec<String>,
    out: PathBuf,
    options: Comparing,
    on_event: Option<Py<PyAny>>,
) -> Result<bool, Failed> {
    let listener = Listener::new(on_event);
    let compared = py.detach(|| {
        let config = configuration(text, &path, &sets)?;
        let mut on_event = |event: CompareEvent| listener.tell(&of_comparison(&event));
        let options = CompareOptions {
            earlier: if options.overwrite {
                Earlier::Discard
            } else {
                Earlier::Reuse
            },
            folds: options.folds,
            seeds: options.seeds,
            arms: options.arms,
            metric: options.metric,
            speed: if options.quick {
                Speed::Quick
            } else {
                Speed::Full
            },
            cache: feature_cache(),
            stop: Some(&listener.stop),
            on_event: Some(&mut on_event),
            ..CompareOptions::new(out)
        };
        anyhow::Ok(sidelight::compare(&config, options)?)
    });
    listener.outcome()?;
    Ok(matches!(compared?, Compared::Answer(_)))
}

fn of_comparison(event: &CompareEvent) -> Value {
    match event {
        CompareEvent::Remark(text) => json!({"event": "remark", "text": text}),
        CompareEvent::Plan {
            arms,
            rows,
            folds,
            seeds,
            jobs,
            todo,
            ..
        } => {
            json!({"event": "plan", "arms": arms, "rows": rows, "folds": folds, "seeds": seeds, "jobs": jobs, "todo": todo})
        }
        CompareEvent::Features { done, rows } => {
            json!({"event": "features", "done": done, "rows": rows})
        }
        CompareEvent::Job {
            name,
            number,
            of,
            seconds_left,
        } => {
            json!({"event": "job", "name": name, "number": number, "of": of, "seconds_left": seconds_left})
        }
        CompareEvent::Step { done } => json!({"event": "step", "done": done}),
        CompareEvent::Weighing => json!({"event": "weighing"}),
        _ => Value::Null,
    }
}
