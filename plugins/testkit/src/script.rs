//! What goes out and what comes back, said beforehand.

use holdfast_plugin::http::{Client, HttpError, Request, Response};
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

/// An HTTP client that plays a script. A request that is not the next one of it gets an error,
/// which [`Script::finish`] tells.
#[derive(Debug, Default)]
pub struct Script {
    left: RefCell<VecDeque<Exchange>>,
    sent: RefCell<Vec<Request>>,
    played: Cell<usize>,
    wrong: RefCell<Vec<String>>,
}

/// One request and its answer, as a vectors file writes them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    request: Expected,
    response: Answer,
}

/// What a request must be; headers that are not listed are not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Answer {
    /// An answer.
    Response(Came),
    /// None.
    Failure(Failed),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Came {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed {
    error: Failure,
}

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Failure {
    Denied,
    Timeout,
    TooLarge,
    Failed,
}

impl Script {
    /// Nothing may be sent.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Next, a request is answered.
    #[must_use]
    pub fn answers(self, method: &str, url: &str, status: u16, body: &str) -> Self {
        self.answers_with(method, url, (status, &[], body))
    }

    /// Next, a request is answered with headers: status, headers, body.
    #[must_use]
    pub fn answers_with(
        mut self,
        method: &str,
        url: &str,
        (status, headers, body): (u16, &[(&str, &str)], &str),
    ) -> Self {
        self.push(
            method,
            url,
            Answer::Response(Came {
                status,
                headers: headers
                    .iter()
                    .map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned()))
                    .collect(),
                body: body.into(),
            }),
        );
        self
    }

    /// Next, a request gets no answer: it is denied by the host (`denied`), in time there is none
    /// (`timeout`), it is too long (`too_large`), or it cannot be had (anything else).
    #[must_use]
    pub fn fails(mut self, method: &str, url: &str, how: &str) -> Self {
        let error = match how {
            "denied" => Failure::Denied,
            "timeout" => Failure::Timeout,
            "too_large" => Failure::TooLarge,
            _ => Failure::Failed,
        };
        self.push(method, url, Answer::Failure(Failed { error }));
        self
    }

    /// The script of a vector.
    pub(crate) fn of(exchanges: Vec<Exchange>) -> Self {
        Self {
            left: RefCell::new(exchanges.into()),
            ..Self::default()
        }
    }

    /// What was sent so far.
    #[must_use]
    pub fn sent(&self) -> Vec<Request> {
        self.sent.borrow().clone()
    }

    /// Whether all of it was played, and nothing else.
    ///
    /// # Errors
    /// What was sent wrongly, or was not sent.
    pub fn finish(&self) -> Result<(), String> {
        if let Some(first) = self.wrong.borrow().first() {
            return Err(first.clone());
        }
        match self.left.borrow().front() {
            None => Ok(()),
            Some(next) => Err(format!(
                "{} {} was not sent",
                next.request.method, next.request.url
            )),
        }
    }

    fn push(&mut self, method: &str, url: &str, response: Answer) {
        self.left.get_mut().push_back(Exchange {
            request: Expected {
                method: method.into(),
                url: url.into(),
                headers: BTreeMap::new(),
                body: None,
            },
            response,
        });
    }
}

impl Client for Script {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        self.sent.borrow_mut().push(request.clone());
        self.played.set(self.played.get().saturating_add(1));
        let next = self.left.borrow_mut().pop_front();
        let fits = match &next {
            None => Err("the script is at its end".to_owned()),
            Some(next) => next.request.matches(request),
        };
        if let Err(why) = fits {
            let (number, method, url) = (self.played.get(), &request.method, &request.url);
            let told = format!("request {number}, {method} {url}: {why}");
            self.wrong.borrow_mut().push(told.clone());
            return Err(HttpError::Failed(told));
        }
        match next.map(|next| next.response) {
            Some(Answer::Response(came)) if came.body.len() > request.response_bytes_max => {
                Err(HttpError::TooLarge)
            }
            Some(Answer::Response(came)) => Ok(Response {
                status: came.status,
                headers: came.headers.into_iter().collect(),
                body: came.body.into_bytes(),
            }),
            Some(Answer::Failure(failed)) => Err(failed.error.into()),
            None => Err(HttpError::Failed("the script is at its end".into())),
        }
    }
}

impl Expected {
    fn matches(&self, request: &Request) -> Result<(), String> {
        let url = request.url.to_string();
        if (self.method.as_str(), self.url.as_str()) != (request.method.as_str(), url.as_str()) {
            return Err(format!("the script has {} {}", self.method, self.url));
        }
        for (name, value) in &self.headers {
            let sent = request.headers.iter().find(|(key, _)| key == name);
            if sent.map(|(_, value)| value) != Some(value) {
                return Err(format!("the script has the header {name}: {value}"));
            }
        }
        match &self.body {
            Some(body) if body.as_bytes() != request.body => Err(format!(
                "the script has the body {body}, and it is {}",
                String::from_utf8_lossy(&request.body)
            )),
            _ => Ok(()),
        }
    }
}

impl From<Failure> for HttpError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied => Self::Denied("it is not granted".into()),
            Failure::Timeout => Self::Timeout,
            Failure::TooLarge => Self::TooLarge,
            Failure::Failed => Self::Failed("no connection".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_plugin::http::Url;

    fn request(method: &str, url: &str) -> Request {
        Request::new(method, Url::parse(url).unwrap())
    }

    #[test]
    fn a_script_is_played_in_order() {
        let script = Script::new()
            .answers_with(
                "POST",
                "https://a.example/x",
                (429, &[("Retry-After", "3")], "later"),
            )
            .fails("GET", "https://a.example/", "timeout");
        assert!(script.finish().unwrap_err().contains("was not sent"));
        let response = script
            .send(&request("POST", "https://a.example/x"))
            .unwrap();
        assert_eq!(
            (response.status, response.header("retry-after")),
            (429, Some("3"))
        );
        let failed = script.send(&request("GET", "https://a.example/"));
        assert_eq!(failed, Err(HttpError::Timeout));
        script.finish().unwrap();
        assert_eq!(script.sent().len(), 2);
    }

    #[test]
    fn what_is_not_in_the_script_is_told() {
        let script = Script::new().answers("GET", "https://a.example/", 200, "");
        script
            .send(&request("GET", "https://b.example/"))
            .unwrap_err();
        let wrong = script.finish().unwrap_err();
        assert!(
            wrong.contains("b.example") && wrong.contains("a.example"),
            "{wrong}"
        );
        let script = Script::new();
        script
            .send(&request("GET", "https://a.example/"))
            .unwrap_err();
        assert!(script.finish().unwrap_err().contains("at its end"));
    }

    #[test]
    fn headers_and_bodies_are_compared_where_they_are_told() {
        let exchange = |json: &str| Script::of(vec![serde_json::from_str(json).unwrap()]);
        let json = r#"{"request": {"method": "GET", "url": "https://a.example/", "headers": {"k": "v"}, "body": "b"},
            "response": {"status": 200, "body": "12345"}}"#;
        let plain = request("GET", "https://a.example/");
        exchange(json).send(&plain).unwrap_err();
        let mut good = plain.clone().header("K", "v");
        exchange(json).send(&good).unwrap_err();
        good.body = b"b".to_vec();
        exchange(json).send(&good).unwrap();
        good.response_bytes_max = 4;
        assert_eq!(exchange(json).send(&good), Err(HttpError::TooLarge));
    }
}
