//! How big a file may grow, what it is called, and what may not be left in it.

use super::Source;

/// Lines of a file. Past this nobody reads it whole; 300 is what to aim at.
const FILE_LINES_MAX: usize = 600;

/// Characters of a line, as in rustfmt.toml, which leaves comments and macros alone.
const LINE_CHARS_MAX: usize = 100;

/// Names that say nothing of what is inside, so that everything ends up there.
const EMPTY_NAMES: [&str; 8] = [
    "common", "helper", "helpers", "manager", "misc", "util", "utils", "stuff",
];

/// Words that put work off. Written in two halves, or this file would be the first to fail.
const PUT_OFF: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("HA", "CK"),
];

/// Complaints about the size, the name and the first line of a file of Rust.
pub(super) fn shape(source: &Source) -> Vec<String> {
    let path = &source.path;
    let mut complaints = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        complaints.push(format!(
            "{path}:{FILE_LINES_MAX}: {lines} lines; split it below {FILE_LINES_MAX} by what it is about"
        ));
    }
    if path.ends_with("/mod.rs") {
        complaints.push(format!(
            "{path}:1: write foo.rs beside foo/, not foo/mod.rs"
        ));
    }
    if EMPTY_NAMES.contains(&source.stem()) {
        complaints.push(format!("{path}:1: name the file after what is in it"));
    }
    if !source.text.trim_start().starts_with("//!") {
        complaints.push(format!(
            "{path}:1: begin with a //! that says what the file is for"
        ));
    }
    for (n, line) in source.lines() {
        // A string, an address and a row of a table cannot always be broken.
        let is_bound = line.contains('"') || line.contains("://") || is_table_row(line);
        if line.chars().count() > LINE_CHARS_MAX && !is_bound {
            complaints.push(format!(
                "{path}:{n}: longer than {LINE_CHARS_MAX}; break the line"
            ));
        }
    }
    complaints
}

/// Whether a comment's line stands in columns.
fn is_table_row(line: &str) -> bool {
    let text = line.trim_start();
    let said = text.trim_start_matches(['/', '!']).trim();
    text.starts_with("//") && (said.starts_with('|') || said.contains("   "))
}

/// Complaints about words that put work off.
pub(super) fn put_off(source: &Source) -> Vec<String> {
    // Others' words: locks of versions, licences, golden answers.
    if source.path.contains("lock") || source.path.contains("golden/") {
        return Vec::new();
    }
    source
        .lines()
        .filter_map(|(n, line)| {
            let word = PUT_OFF.iter().find(|word| has_word(line, word))?;
            let path = &source.path;
            Some(format!(
                "{path}:{n}: {word}; do it, or open an issue and say why not yet"
            ))
        })
        .collect()
}

/// Whether a line has a word, not only as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !is_letter(before) && !is_letter(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_good_shape_is_left_alone() {
        let good = Source::sample(
            "host/store/src/lib.rs",
            "//! The store.\n\npub fn open() {}\n",
        );
        assert_eq!(shape(&good), [""; 0]);
    }

    #[test]
    fn what_is_out_of_shape_is_told_by_file_and_line() {
        for (path, text, told) in [
            (
                "a/src/mod.rs",
                "//! x\n".to_owned(),
                "a/src/mod.rs:1: write foo.rs",
            ),
            (
                "a/src/utils.rs",
                "//! x\n".to_owned(),
                "a/src/utils.rs:1: name the file",
            ),
            (
                "a/src/b.rs",
                "fn f() {}\n".to_owned(),
                "a/src/b.rs:1: begin with",
            ),
            (
                "a/src/b.rs",
                "//! x\n".repeat(601),
                "a/src/b.rs:600: 601 lines",
            ),
            (
                "a/src/b.rs",
                format!("//! x\n// {}\n", "x".repeat(98)),
                "a/src/b.rs:2: longer",
            ),
        ] {
            let complaints = shape(&Source::sample(path, &text));
            assert_eq!(complaints.len(), 1, "{complaints:?}");
            assert!(complaints[0].starts_with(told), "{complaints:?}");
        }
        let bound = format!("//! x\nconst A: &str = \"{}\";\n", "x".repeat(98));
        assert_eq!(shape(&Source::sample("a/src/b.rs", &bound)), [""; 0]);
        let table = format!("//! pins     cid     {}\n", "x".repeat(98));
        assert_eq!(shape(&Source::sample("a/src/b.rs", &table)), [""; 0]);
    }

    #[test]
    fn words_that_put_work_off_are_found_as_words() {
        let word = PUT_OFF[0];
        let text = format!(
            "fine\n// {word}: later\n{word}S\nmktemp {0}{0}\n",
            PUT_OFF[2]
        );
        let complaints = put_off(&Source::sample("a.sh", &text));
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].starts_with("a.sh:2: "), "{complaints:?}");
    }
}
