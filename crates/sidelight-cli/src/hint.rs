//! What to type next: the hints of the library, put in terms of commands and flags.

use sidelight::error::{DataError, Error, EvidenceError, FolderContent};

use crate::refusal::Refusal;

/// What to do next: the first advice along the chain of causes.
pub(crate) fn of_chain(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<Error>() {
            return of(error);
        }
        if let Some(error) = cause.downcast_ref::<DataError>() {
            return of_data(error);
        }
        if let Some(error) = cause.downcast_ref::<EvidenceError>() {
            return error.hint();
        }
        Some(cause.downcast_ref::<Refusal>()?.hint.clone())
    })
}

/// What to do next about an error of the library.
pub(crate) fn of(error: &Error) -> Option<String> {
    Some(match error {
        Error::Data(error) => return of_data(error),
        Error::HubNotFound { .. } => {
            format!("{}; `sidelight backbones` lists names that fit", error.hint()?)
        }
        Error::JobDiffers { .. } => {
            "ask for what it was started with, choose another folder with --out, or begin anew with --overwrite"
                .into()
        }
        Error::JobsMissing { .. } => {
            "run the same command without --merge: it makes what is missing and joins all".into()
        }
        Error::OutputNotEmpty { path, found } => match found {
            FolderContent::Nothing => format!("{} can be used", path.display()),
            FolderContent::FinishedRun => {
                "--overwrite replaces it; another folder with --out keeps both".into()
            }
            FolderContent::UnfinishedRun => {
                "--resume goes on with it; --overwrite begins anew; --out chooses another folder"
                    .into()
            }
            FolderContent::OtherFiles { .. } => {
                "choose a new or an empty folder with --out; what is replaced has the mark of a run (`.sidelight-run`) and nothing else in it"
                    .into()
            }
        },
        Error::RunInUse { .. } => {
            "wait for it to end, or choose another folder with --out".into()
        }
        Error::NotARun { .. } => {
            "a run is the folder that `sidelight train … --out FOLDER` writes".into()
        }
        Error::UnfinishedRun { path } => format!(
            "finish it with `sidelight train {0}/config.toml --out {0} --resume`",
            path.display()
        ),
        Error::NoOnnx { .. } => {
            "replace it with layers that ONNX has (`sidelight inspect` shows them), or export the weights alone with \
             `--safetensors`"
                .into()
        }
        Error::OnnxSize { .. } => {
            "export the weights with `--safetensors`, or train a smaller `model.backbone`".into()
        }
        Error::ShareNotEmpty { .. } => {
            "choose a new folder with --hub; --overwrite replaces the files that an earlier export wrote, all others stay"
                .into()
        }
        Error::NoAnswer { path } => format!(
            "finish it with `sidelight compare CONFIG --out {}`, or name the folder of another with --comparison",
            path.display()
        ),
        Error::BadRow { .. } | Error::ListedBadRow { .. } => {
            "without --strict the job goes on, and such rows are listed in a file beside the predictions"
                .into()
        }
        Error::PartsDiffer { .. } => {
            "give what they were begun with, choose another --out, or discard them with --overwrite"
                .into()
        }
        Error::PartsFile { .. } => "discard the parts with --overwrite".into(),
        Error::AbsentColumns { .. } => format!(
            "{}; with --allow-missing it is missing in every row",
            error.hint()?
        ),
        Error::NoTargets { .. } => "`sidelight predict` needs no targets".into(),
        Error::TooManyUnreadable { .. } => {
            format!("{}; `sidelight check` lists what is wrong", error.hint()?)
        }
        other => return other.hint(),
    })
}

/// The same of tables, images and files.
pub(crate) fn of_data(error: &DataError) -> Option<String> {
    Some(match error {
        DataError::Cell { .. } => {
            format!("{}; `sidelight check` lists all such cells", error.hint()?)
        }
        DataError::AnnotationKind { .. } => {
            format!("{}; if it is one of them, --format says so", error.hint()?)
        }
        DataError::AnnotationImage { .. } => {
            "--images FOLDER says where the images are; of those inside archives `predict --format` writes coco, cvat or labelme"
                .into()
        }
        DataError::OutputFormat { .. } => "for example --out predictions.csv".into(),
        DataError::RowImage { source, .. } => return of_data(source),
        other => return other.hint(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_type_is_said_of_runs() {
        let path = || "a".into();
        let said = |error: Error| of(&error).unwrap();
        let not_empty = |found| Error::OutputNotEmpty {
            path: path(),
            found,
        };
        assert!(said(not_empty(FolderContent::FinishedRun)).starts_with("--overwrite"));
        assert!(said(not_empty(FolderContent::UnfinishedRun)).starts_with("--resume"));
        assert!(said(Error::UnfinishedRun { path: path() }).ends_with("--resume`"));
        let missing = "config.toml";
        let not_a_run = Error::NotARun {
            path: path(),
            missing,
        };
        assert!(said(not_a_run).contains("`sidelight train"));
        let layer = String::new();
        let no_onnx = Error::NoOnnx {
            path: "own".into(),
            layer,
        };
        assert!(said(no_onnx).contains("--safetensors"));
    }

    #[test]
    fn the_first_advice_along_the_chain_is_given() {
        let error = anyhow::Error::from(Error::from(DataError::OutputFormat { path: "a".into() }));
        let said = of_chain(&error.context("while writing"));
        assert_eq!(said.as_deref(), Some("for example --out predictions.csv"));
    }
}
