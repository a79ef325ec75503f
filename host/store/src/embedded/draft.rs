//! What a group of writes is about to change: read through, checked, and committed as one.

use super::key;
use super::table::{Table, Tables};
use crate::Result;
use crate::row::{Numbers, decode, encode};
use fjall::{OwnedWriteBatch, PersistMode, UserValue};
use holdfast_model::{Cid, Cursor};
use std::collections::HashMap;

/// The changes of a group on top of the database.
///
/// Operations run one after the other and read what those before them have written, so a condition
/// holds of the rows that it will be committed with.
pub(super) struct Draft<'a> {
    tables: &'a Tables,
    /// What the operations that succeeded write: `None` removes. By [`Table`] number.
    group: Vec<HashMap<Vec<u8>, Option<UserValue>>>,
    /// What the operation that runs has written so far.
    staged: Vec<Write>,
    numbers: Numbers,
}

/// One row to be written, or removed.
pub(super) type Write = (Table, Vec<u8>, Option<UserValue>);

impl<'a> Draft<'a> {
    pub(super) fn new(tables: &'a Tables, numbers: Numbers) -> Self {
        Self {
            tables,
            group: Table::ALL.iter().map(|_| HashMap::new()).collect(),
            staged: Vec::new(),
            numbers,
        }
    }

    /// Runs one operation: all of its writes join the group, or none.
    pub(super) fn attempt<T>(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let numbers = self.numbers;
        let answer = operation(self);
        if answer.is_err() {
            self.staged.clear();
            self.numbers = numbers;
            return answer;
        }
        for (table, key, value) in self.staged.drain(..) {
            if let Some(rows) = self.group.get_mut(table as usize) {
                rows.insert(key, value);
            }
        }
        answer
    }

    /// The database without the group's changes. Only an operation that runs alone may read it.
    pub(super) const fn tables(&self) -> &'a Tables {
        self.tables
    }

    pub(super) const fn numbers(&self) -> Numbers {
        self.numbers
    }

    pub(super) const fn forget_upto(&mut self, trimmed: Cursor) {
        self.numbers.trimmed = trimmed.0;
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<UserValue>> {
        let mut staged = self.staged.iter().rev();
        if let Some((_, _, value)) = staged.find(|(t, k, _)| *t == table && k == key) {
            return Ok(value.clone());
        }
        let written = self
            .group
            .get(table as usize)
            .and_then(|rows| rows.get(key));
        match written {
            Some(value) => Ok(value.clone()),
            None => self.tables.get(table, key),
        }
    }

    pub(super) fn put(&mut self, table: Table, key: Vec<u8>, value: impl Into<UserValue>) {
        self.staged.push((table, key, Some(value.into())));
    }

    pub(super) fn remove(&mut self, table: Table, key: Vec<u8>) {
        self.staged.push((table, key, None));
    }

    pub(super) const fn next_number(&mut self) -> u64 {
        self.numbers.sequence += 1;
        self.numbers.sequence
    }

    /// Adds a feed entry under a number that has just been drawn.
    pub(super) fn announce(&mut self, number: u64, cid: &Cid) {
        self.numbers.head = number;
        self.put(Table::Feed, key::change(Cursor(number)), cid.to_bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.group.iter().all(HashMap::is_empty)
    }

    /// Everything to be committed, the numbers of the commit itself included.
    pub(super) fn into_writes(mut self) -> Result<(Vec<Write>, Numbers)> {
        self.numbers.commit += 1;
        let mut writes = vec![write_of_numbers(&self.numbers)?];
        for (table, rows) in Table::ALL.iter().zip(self.group) {
            writes.extend(rows.into_iter().map(|(key, value)| (*table, key, value)));
        }
        Ok((writes, self.numbers))
    }
}

/// The write that keeps the numbers.
pub(super) fn write_of_numbers(numbers: &Numbers) -> Result<Write> {
    let value = UserValue::from(encode(numbers)?);
    Ok((Table::Meta, key::NUMBERS.to_vec(), Some(value)))
}

/// The numbers as they were committed last.
pub(super) fn numbers_of(tables: &Tables) -> Result<Option<Numbers>> {
    let row = tables.get(Table::Meta, key::NUMBERS)?;
    row.map(|row| decode("numbers", &row)).transpose()
}

/// Commits writes as one, durable when it answers.
pub(super) fn commit(tables: &Tables, writes: &[Write]) -> fjall::Result<()> {
    let batch = OwnedWriteBatch::with_capacity(tables.database.clone(), writes.len());
    let mut batch = batch.durability(Some(PersistMode::SyncAll));
    for (table, key, value) in writes {
        let keyspace = tables.keyspace(*table);
        match value {
            Some(value) => batch.insert(keyspace, key.as_slice(), value.clone()),
            None => batch.remove(keyspace, key.as_slice()),
        }
    }
    batch.commit()
}
