//! Records that cannot be read and are passed over: which they are, and when there are too many.
//!
//! Such a record keeps its place in the order of an epoch, so that every other row is where it would have been, and a
//! resumed run goes on exactly. What it adds to a loss is 0.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::run::{BadRowRecord, BadRowsWriter, read_bad_rows};

/// So many rows may be unreadable in a set of any size but the smallest: a set from the web has links that died.
const ALWAYS: usize = 100;

/// Records that cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    table: PathBuf,
    most: usize,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    /// By their number in the table, from 1.
    records: BTreeMap<usize, BadRowRecord>,
    /// How many of them are in the file.
    n_written: usize,
    /// Where they are listed, once that is known.
    path: Option<PathBuf>,
}

impl Unreadable {
    /// None yet, of a table with so many rows. One in a hundred may be unreadable, or a hundred where that is more, but
    /// never more than one in ten: that is no accident, and what is left may not be a sample of the whole.
    pub fn new(table: PathBuf, n_rows: usize) -> Self {
        Self {
            table,
            most: (n_rows / 100).max(ALWAYS.min(n_rows / 10)),
            list: Mutex::default(),
        }
    }

    /// Notes a record of the table.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyUnreadable`], once the list is written.
    pub fn note(&self, record: BadRowRecord) -> Result<()> {
        let mut list = self.list();
        list.records.entry(record.row).or_insert(record);
        let n = list.records.len();
        if n <= self.most {
            return Ok(());
        }
        drop(list);
        self.write()?;
        Err(Error::TooManyUnreadable {
            path: self.table.clone(),
            n,
            most: self.most,
        })
    }

    /// Whether the row at this position of the data set is one.
    pub fn contains(&self, dataset: &Dataset, position: usize) -> bool {
        let number = dataset.rows[position] + 1;
        self.list().records.contains_key(&number)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list().records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says where they are listed. With `resumed` those in the file are among them.
    ///
    /// # Errors
    ///
    /// Those of reading the file.
    pub fn write_to(&self, path: PathBuf, resumed: bool) -> Result<()> {
        let known = match resumed {
            true => read_bad_rows(&path)?,
            false => Vec::new(),
        };
        self.list().path = Some(path);
        known.into_iter().try_for_each(|record| self.note(record))
    }

    /// Writes the list, if it has grown.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub fn write(&self) -> Result<()> {
        let mut list = self.list();
        let Some(path) = list.path.clone() else {
            return Ok(());
        };
        if list.records.len() == list.n_written {
            return Ok(());
        }
        let mut writer = BadRowsWriter::new(&path);
        list.records
            .values()
            .try_for_each(|record| writer.write(record))?;
        writer.finish()?;
        list.n_written = list.records.len();
        Ok(())
    }

    /// The list as another rank reads it.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let list = self.list();
        let records: Vec<&BadRowRecord> = list.records.values().collect();
        serde_json::to_vec(&records).expect("records are text and numbers")
    }

    /// Notes what another rank's list holds.
    ///
    /// # Errors
    ///
    /// As [`Unreadable::note`].
    pub(crate) fn merge(&self, json: &[u8]) -> Result<()> {
        let records: Vec<BadRowRecord> =
            serde_json::from_slice(json).expect("what `to_json` wrote");
        records.into_iter().try_for_each(|record| self.note(record))
    }

    /// Every change of the list is made whole.
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Place;

    fn record(row: usize) -> BadRowRecord {
        BadRowRecord {
            row,
            at: Place {
                key: Some(format!("k{row}")),
                ..Place::file("a.tar").with_row(row)
            },
            reason: "a damaged JPEG, \"quoted\"".into(),
        }
    }

    #[test]
    fn one_in_a_hundred_or_a_hundred_may_be_unreadable_but_never_one_in_ten() {
        let most = |n_rows| Unreadable::new("a".into(), n_rows).most;
        assert_eq!(
            [5, 200, 5000, 10_000, 1_000_000].map(most),
            [0, 20, 100, 100, 10_000]
        );
    }

    #[test]
    fn the_list_is_written_read_again_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("skipped.csv");
        let list = Unreadable::new("a".into(), 20);
        list.write_to(path.clone(), false).unwrap();
        list.note(record(7)).unwrap();
        list.note(record(7)).unwrap();
        list.write().unwrap();
        let resumed = Unreadable::new("a".into(), 20);
        resumed.write_to(path.clone(), true).unwrap();
        resumed.note(record(3)).unwrap();
        let error = resumed.note(record(4)).unwrap_err();
        assert!(matches!(
            error,
            Error::TooManyUnreadable { n: 3, most: 2, .. }
        ));
        let read = read_bad_rows(&path).unwrap();
        assert_eq!(read, [record(3), record(4), record(7)]);
    }

    #[test]
    fn ranks_tell_each_other_what_they_found() {
        let [own, other] = [(); 2].map(|()| Unreadable::new("a".into(), 200));
        own.note(record(7)).unwrap();
        other.note(record(3)).unwrap();
        own.merge(&other.to_json()).unwrap();
        assert_eq!(own.len(), 2);
        assert_eq!(own.list().records[&3], record(3));
    }
}
