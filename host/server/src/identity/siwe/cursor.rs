//! What of a message is still to be read.

use super::SiweError;

pub(super) struct Cursor<'t>(&'t str);

impl<'t> Cursor<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self(text)
    }

    /// Takes a text if it comes next.
    pub(super) fn takes(&mut self, tag: &str) -> bool {
        match self.0.strip_prefix(tag) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Takes a text that must come next.
    pub(super) fn tag(&mut self, tag: &str, what: &'static str) -> Result<(), SiweError> {
        match self.takes(tag) {
            true => Ok(()),
            false => Err(SiweError::Garbled(what)),
        }
    }

    /// Takes what stands before a text, and the text.
    pub(super) fn until(&mut self, tag: &str, what: &'static str) -> Result<&'t str, SiweError> {
        let (before, rest) = self.0.split_once(tag).ok_or(SiweError::Garbled(what))?;
        if before.contains('\n') {
            return Err(SiweError::Garbled(what));
        }
        self.0 = rest;
        Ok(before)
    }

    /// Takes a line and its end.
    pub(super) fn line(&mut self, what: &'static str) -> Result<&'t str, SiweError> {
        let (line, rest) = self.0.split_once('\n').ok_or(SiweError::Garbled(what))?;
        self.0 = rest;
        Ok(line)
    }

    /// Takes a line, but not its end, which begins what may follow.
    pub(super) fn last_line(&mut self) -> &'t str {
        let end = self.0.find('\n').unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        self.0 = rest;
        line
    }

    /// Takes a line that may be there, after the text that it begins with.
    pub(super) fn optional(&mut self, tag: &str) -> Option<&'t str> {
        self.takes(tag).then(|| self.last_line())
    }

    pub(super) const fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}
