//! Secrets that the host puts into requests and that no guest ever sees.
//!
//! A rule names a secret by where it lies (`{env:NAME}`, `{file:PATH}`). It is read when a request
//! is sent, so a file that was replaced counts at once, and forgotten afterwards. What comes back
//! is searched for it in the headers; a provider that repeats a secret in a body, in pieces, or
//! encoded otherwise than it was sent shows it to the guest all the same.

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Bytes of one secret: a signed token has some thousands.
const SECRET_BYTES_MAX: usize = 8 * 1024;

/// What stands in a header in place of a secret.
const REDACTED: HeaderValue = HeaderValue::from_static("[redacted]");

/// Secrets shorter than this are found in too much by chance to be searched for.
const SEARCHED_BYTES_MIN: usize = 4;

/// A header's value with secrets in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Environment(String),
    File(String),
}

impl Template {
    /// Reads a template: text, with at least one secret in braces.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const WRITE: &str = "write it as \"Bearer {env:NAME}\" or \"{file:/run/secrets/NAME}\"";
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (reference, after) = after
                .split_once('}')
                .ok_or_else(|| format!("a brace is open; {WRITE}"))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(match reference.split_once(':') {
                Some(("env", name)) if !name.is_empty() => Part::Environment(name.to_owned()),
                Some(("file", path)) if !path.is_empty() => Part::File(path.to_owned()),
                // What was written is not shown: it may be the secret itself.
                _ => return Err(format!("a brace names no place of a secret; {WRITE}")),
            });
            rest = after;
        }
        if !parts.iter().any(|part| !matches!(part, Part::Text(_))) {
            return Err(format!("names no secret; {WRITE}"));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let is_plain = |part: &Part| match part {
            Part::Text(text) => text.bytes().all(|b| matches!(b, 0x20..=0x7e)),
            Part::Environment(_) | Part::File(_) => true,
        };
        if !parts.iter().all(is_plain) {
            return Err("has characters that no header has".into());
        }
        Ok(Self(parts))
    }

    /// Where its secrets lie, for messages.
    pub(crate) fn references(&self) -> String {
        let names: Vec<String> = self
            .0
            .iter()
            .filter_map(|part| match part {
                Part::Text(_) => None,
                Part::Environment(name) => Some(format!("env:{name}")),
                Part::File(path) => Some(format!("file:{path}")),
            })
            .collect();
        names.join(", ")
    }
}

/// Where secrets lie: the environment as the program found it, and files.
#[derive(Clone, Default)]
pub(crate) struct Vault {
    environment: Arc<BTreeMap<String, String>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// The vault over an environment.
    pub(crate) const fn new(environment: Arc<BTreeMap<String, String>>) -> Self {
        Self { environment }
    }

    /// Fills a template in; the error says which secret is missing and never shows one.
    pub(crate) fn fill(&self, template: &Template) -> Result<Filled, String> {
        let mut value = String::new();
        let mut secrets = Vec::new();
        for part in &template.0 {
            let secret = match part {
                Part::Text(text) => {
                    value.push_str(text);
                    continue;
                }
                Part::Environment(name) => self
                    .environment
                    .get(name)
                    .cloned()
                    .ok_or_else(|| format!("the variable {name} is not set; set it"))?,
                Part::File(path) => read(path)?,
            };
            let is_plain = secret.bytes().all(|b| matches!(b, 0x20..=0x7e));
            if secret.is_empty() || secret.len() > SECRET_BYTES_MAX || !is_plain {
                return Err(format!(
                    "the secret at {} is empty, too long or has characters that no header has",
                    template.references()
                ));
            }
            value.push_str(&secret);
            secrets.push(secret.into_bytes());
        }
        let mut header = HeaderValue::from_str(&value)
            .map_err(|_| format!("the secret at {} is no header", template.references()))?;
        header.set_sensitive(true);
        Ok(Filled { header, secrets })
    }
}

fn read(path: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("the secret {path} cannot be read ({e}); put it there"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A header with secrets in it, and the secrets alone.
pub(crate) struct Filled {
    pub(crate) header: HeaderValue,
    secrets: Vec<Vec<u8>>,
}

/// What must not come back.
#[derive(Default)]
pub(crate) struct Concealed(Vec<Vec<u8>>);

impl Concealed {
    /// Remembers what was sent.
    pub(crate) fn add(&mut self, filled: Filled) {
        let is_searched = |secret: &Vec<u8>| secret.len() >= SEARCHED_BYTES_MIN;
        self.0
            .extend(filled.secrets.into_iter().filter(is_searched));
    }

    /// Blanks every header that repeats a secret.
    pub(crate) fn redact(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let bytes = value.as_bytes();
            let repeats = |secret: &Vec<u8>| bytes.windows(secret.len()).any(|w| w == secret);
            if self.0.iter().any(repeats) {
                *value = REDACTED;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(pairs: &[(&str, &str)]) -> Vault {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        Vault::new(Arc::new(pairs.iter().map(owned).collect()))
    }

    #[test]
    fn a_template_is_filled_from_where_its_secrets_lie() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "s3cret\n").unwrap();
        let text = format!("Key {{env:USER}}:{{file:{}}}!", file.display());
        let template = Template::parse(&text).unwrap();
        let filled = vault(&[("USER", "me")]).fill(&template).unwrap();
        assert_eq!(filled.header, "Key me:s3cret!");
        assert!(filled.header.is_sensitive());
        // Another secret counts from the next request on.
        std::fs::write(&file, "0ther").unwrap();
        let filled = vault(&[("USER", "me")]).fill(&template).unwrap();
        assert_eq!(filled.header, "Key me:0ther!");
    }

    #[test]
    fn what_is_missing_is_named_and_no_secret_shown() {
        let template = Template::parse("{env:KEY}").unwrap();
        let refused = |vault: Vault| vault.fill(&template).err().unwrap();
        assert!(refused(vault(&[])).contains("KEY"));
        let shown = refused(vault(&[("KEY", "hush\nhush")]));
        assert!(
            shown.contains("env:KEY") && !shown.contains("hush"),
            "{shown}"
        );
        for text in ["hush", "{hush}", "{env:}", "{env:X", "\u{e9}{env:X}"] {
            let refused = Template::parse(text).unwrap_err();
            assert!(!refused.contains("hush"), "{refused}");
        }
    }

    #[test]
    fn a_secret_that_comes_back_is_blanked() {
        let filled = vault(&[("KEY", "s3cret")])
            .fill(&Template::parse("Bearer {env:KEY}").unwrap())
            .unwrap();
        let mut concealed = Concealed::default();
        concealed.add(filled);
        let mut headers = HeaderMap::new();
        for value in ["you sent s3cret here", "s3cre", "other"] {
            headers.append("x-echo", value.parse().unwrap());
        }
        concealed.redact(&mut headers);
        let left: Vec<_> = headers.get_all("x-echo").iter().collect();
        assert_eq!(left, ["[redacted]", "s3cre", "other"]);
    }
}
