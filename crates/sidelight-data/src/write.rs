//! Files and tables written whole or not at all: [`write_whole`], [`FolderWriter`], [`TableWriter`] (CSV, JSON Lines,
//! Parquet) and, on top of it, [`PredictionsWriter`]; [`NpyWriter`].

mod groups;
mod npy;
#[cfg(feature = "parquet")]
mod parquet;
mod predictions;
mod spreadsheet;
mod table;
mod whole;

pub use groups::{GroupRow, GroupsWriter};
pub use npy::NpyWriter;
pub(crate) use predictions::made_different;
pub use predictions::{Extra, PredictionRow, PredictionsWriter, TargetCell, prediction_rows};
pub use spreadsheet::CsvText;
pub use table::{ColumnKind, TableFormat, TableWriter, Value, join_tables};
pub use whole::{
    FolderWriter, WholeFile, hidden_sibling, open_kept, recover_folder, remove_file_if_there,
    remove_folder_if_there, write_whole,
};
