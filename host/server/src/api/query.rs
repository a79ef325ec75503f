//! Query parameters, strictly: what is not known is refused, because a filter that is silently
//! ignored answers another question than was asked.

use holdfast_model::Invalid;
use url::form_urlencoded;

/// The parameters of one call.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Takes a query string apart; every name must be one of `known`.
    pub(crate) fn parse(raw: Option<&str>, known: &[&str]) -> Result<Self, Invalid> {
        let mut pairs = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let shown: String = name.chars().take(80).collect();
                return Err(Invalid::new(
                    format!("query parameter {shown:?}"),
                    format!("is not known here; there are {}", list(known)),
                ));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// Takes a query string apart, whatever it names: for an interface whose clients send more than
    /// they mean.
    pub(crate) fn all(raw: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(raw.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The first value of a parameter, however often it is there.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// Every parameter, in order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of a parameter that may be there once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Invalid> {
        let mut values = self.values(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Invalid::new(name, "is there twice; send it once"));
        }
        Ok(first)
    }

    /// Whether a switch is on; it is off when it is not there.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Invalid> {
        match self.one(name)? {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(_) => Err(Invalid::new(name, "is no switch; send true or false")),
        }
    }

    /// The members of a list parameter: separated by commas, or the parameter repeated. `None` if
    /// it is not there at all.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&str>> {
        self.values(name).next()?;
        let members = self.values(name).flat_map(|value| value.split(','));
        Some(members.collect())
    }

    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(has, _)| has == name)
            .map(|(_, value)| value.as_str())
    }
}

fn list(known: &[&str]) -> String {
    if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_may_be_joined_or_repeated_and_values_are_decoded() {
        let query = Query::parse(Some("a=1,2&a=3&b=x%20y"), &["a", "b"]).unwrap();
        assert_eq!(query.list("a"), Some(vec!["1", "2", "3"]));
        assert_eq!(query.one("b").unwrap(), Some("x y"));
        assert_eq!(query.list("c"), None);
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused_by_name() {
        let unknown = Query::parse(Some("statu=pinned"), &["status"]).unwrap_err();
        assert!(unknown.to_string().contains("\"statu\""), "{unknown}");
        assert!(unknown.to_string().contains("status"), "{unknown}");
        let query = Query::parse(Some("limit=1&limit=2"), &["limit"]).unwrap();
        assert!(query.one("limit").unwrap_err().why.contains("twice"));
    }
}
