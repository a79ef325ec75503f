//! Keys with wildcards: `*` is any text without a dot, `**` any number of sections.

/// Letters of a pattern: no key is longer.
const PATTERN_BYTES_MAX: usize = 128;

/// A pattern, taken apart at its dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<String>);

impl Pattern {
    /// Reads a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let is_part = |part: &String| {
            let is_letter =
                |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'*' | b':');
            !part.is_empty() && part.bytes().all(is_letter)
        };
        // Two of them could be matched in very many ways.
        let stretches = parts.iter().filter(|part| *part == "**").count();
        if text.len() > PATTERN_BYTES_MAX || stretches > 1 || !parts.iter().all(is_part) {
            return Err(format!(
                "key: {text:?} is none; write one such as store.kind, with * for a part of a name and \
                 one ** for any sections"
            ));
        }
        Ok(Self(parts))
    }

    /// The key, if there is no wildcard in it.
    pub(crate) fn plain(&self) -> Option<String> {
        let is_plain = self.0.iter().all(|part| !part.contains('*'));
        is_plain.then(|| self.0.join("."))
    }

    /// Whether a key is meant.
    pub(crate) fn matches(&self, key: &str) -> bool {
        let parts: Vec<&str> = key.split('.').collect();
        let fits = |wanted: &[String], parts: &[&str]| {
            wanted.len() == parts.len()
                && wanted
                    .iter()
                    .zip(parts)
                    .all(|(wanted, part)| matches_part(wanted, part))
        };
        let Some(stretch) = self.0.iter().position(|part| part == "**") else {
            return fits(&self.0, &parts);
        };
        let (before, after) = self.0.split_at(stretch);
        let after = after.get(1..).unwrap_or_default();
        let (Some(head), Some(tail)) = (
            parts.get(..before.len()),
            parts
                .len()
                .checked_sub(after.len())
                .and_then(|at| parts.get(at..)),
        ) else {
            return false;
        };
        parts.len() >= before.len() + after.len() && fits(before, head) && fits(after, tail)
    }
}

/// A part with `*` in it: what stands between the stars must come in order.
fn matches_part(wanted: &str, part: &str) -> bool {
    let Some((head, rest)) = wanted.split_once('*') else {
        return wanted == part;
    };
    let Some(mut left) = part.strip_prefix(head) else {
        return false;
    };
    let Some((middle, tail)) = rest.rsplit_once('*') else {
        return left.ends_with(rest);
    };
    for piece in middle.split('*') {
        let Some(at) = left.find(piece) else {
            return false;
        };
        left = left.get(at + piece.len()..).unwrap_or_default();
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_what_they_say() {
        for (pattern, key, expected) in [
            ("store.kind", "store.kind", true),
            ("store.kind", "store.kinds", false),
            ("store.kind", "store", false),
            ("store.*", "store.kind", true),
            ("store.*", "store.cql.user", false),
            ("*", "log", true),
            ("*", "log.level", false),
            ("limits.*_bytes", "limits.body_bytes", true),
            ("limits.*_bytes", "limits._bytes", true),
            ("limits.*_bytes", "limits.body_bytes_max", false),
            ("l*.b*_*s", "limits.body_bytes", true),
            ("*a*a*a*a*", "banana", false),
            ("**", "a.b.c", true),
            ("store.**", "store", true),
            ("store.**", "store.cql.user", true),
            ("store.**", "stores.cql", false),
            ("**.secret", "a.b.secret", true),
            ("**.secret", "secret", true),
            ("a.**.b", "a.b", true),
            ("a.**.a", "a", false),
            ("a.*a*a*", "a.banana", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(key),
                expected,
                "{pattern} {key}"
            );
        }
    }

    #[test]
    fn only_keys_without_stars_are_plain() {
        assert_eq!(
            Pattern::parse("a.b").unwrap().plain().as_deref(),
            Some("a.b")
        );
        assert_eq!(Pattern::parse("a.*").unwrap().plain(), None);
    }
}
