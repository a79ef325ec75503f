//! Golden vectors: questions and answers that ship beside a plugin as `NAME.vectors.json`.
//!
//! The host runs them on a component before it takes it in; here they run on the plugin's trait,
//! where a debugger reaches. The JSON mirrors the WIT: names in snake case, a case without payload
//! as text, one with payload as an object of one key, numbers of 128 bits as decimal text; actions
//! have the names that policies use (`createRequest`). A vector about settings that `init` must
//! refuse has the output `{"error": {"init": "a part of what it says"}}`.
//!
//! ```
//! use holdfast_plugin::pricing::{Metadata, Pricing, Quote, RatingError, Usage};
//! # struct Free;
//! # impl Pricing for Free {
//! #     fn describe() -> Metadata {
//! #         Metadata { name: "f".into(), version: "1.0.0".into(), description: "f".into() }
//! #     }
//! #     fn init(_: &str) -> Result<Self, String> { Ok(Self) }
//! #     fn rate(&self, _: Usage) -> Result<Quote, RatingError> { Quote::of("EUR", Vec::new()) }
//! # }
//! let file = r#"{"kind": "pricing", "vectors": [{
//!     "name": "nothing costs nothing",
//!     "input": {"account": "acme/web", "tenant": "acme", "attributes": {},
//!               "period": {"start": 0, "end": 1}, "meters": []},
//!     "output": {"ok": {"lines": [], "total": {"micros": 0, "currency": "EUR"}}}
//! }]}"#;
//! assert_eq!(holdfast_testkit::vectors::pricing::<Free>(file).unwrap(), 1);
//! ```

mod answer;
mod question;

use crate::script::{Exchange, Script};
use crate::variables::Variables;
use holdfast_plugin::authorizer::Authorizer;
use holdfast_plugin::config::{Config, Host};
use holdfast_plugin::payment::Payment;
use holdfast_plugin::pricing::Pricing;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kind: String,
    vectors: Vec<Vector>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    #[serde(default = "no_settings")]
    settings: Value,
    input: Value,
    output: Value,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    exchanges: Vec<Exchange>,
}

impl Vector {
    /// What `init` has to say, if the vector is about settings that it must refuse.
    fn refused_by_init(&self) -> Option<&str> {
        self.output.get("error")?.get("init")?.as_str()
    }

    fn compare(&self, said: &Value) -> Result<(), String> {
        match *said == self.output {
            true => Ok(()),
            false => Err(format!("\nexpected {:#}\nanswered {said:#}", self.output)),
        }
    }
}

fn no_settings() -> Value {
    json!({})
}

/// Runs the vectors of an authorizer; how many there are.
///
/// # Errors
/// All that fail, with what was expected and what was answered, or a file that is none.
pub fn authorizer<P: Authorizer>(file: &str) -> Result<usize, String> {
    run::<P>(file, "authorizer", P::init, |plugin, vector, _| {
        let facts = input::<question::Call>(vector)?.into_facts()?;
        Ok(json!({"ok": answer::decision(plugin.authorize(&facts.call()))}))
    })
}

/// Runs the vectors of a pricing plugin; how many there are.
///
/// # Errors
/// As [`authorizer`].
pub fn pricing<P: Pricing>(file: &str) -> Result<usize, String> {
    run::<P>(file, "pricing", P::init, |plugin, vector, _| {
        let usage = input::<question::Usage>(vector)?.into_usage()?;
        Ok(answer::rated(plugin.rate(usage)))
    })
}

/// Runs the vectors of a payment plugin; how many there are.
///
/// # Errors
/// As [`authorizer`].
pub fn payment<P: Payment>(file: &str) -> Result<usize, String> {
    run::<P>(file, "payment", P::init, |plugin, vector, script| {
        let asked = input::<question::Collect>(vector)?;
        let (invoice, progress) = (asked.invoice.into_invoice()?, asked.progress.into());
        Ok(answer::collected(
            plugin.collect(&invoice, &progress, script),
        ))
    })
}

/// Runs the vectors of a configuration plugin; how many there are.
///
/// # Errors
/// As [`authorizer`].
pub fn config<P: Config>(file: &str) -> Result<usize, String> {
    run::<P>(file, "config", P::init, |plugin, vector, script| {
        let environment = Variables::from(vector.environment.clone());
        let host = Host {
            environment: &environment,
            http: script,
        };
        Ok(match input::<question::Configure>(vector)? {
            question::Configure::Supply(current) => {
                answer::supplied(plugin.supply(&current.into(), &host))
            }
            question::Configure::Check { proposed, current } => {
                let current = current.map(Into::into);
                answer::checked(plugin.check(&proposed.into(), current.as_ref(), &host))
            }
        })
    })
}

fn run<P>(
    file: &str,
    kind: &str,
    init: impl Fn(&str) -> Result<P, String>,
    ask: impl Fn(&P, &Vector, &Script) -> Result<Value, String>,
) -> Result<usize, String> {
    let file: File = serde_json::from_str(file).map_err(|e| format!("no vectors file: {e}"))?;
    if file.kind != kind {
        return Err(format!("the vectors are for {}, not {kind}", file.kind));
    }
    let mut names = BTreeSet::new();
    let mut wrong = Vec::new();
    for vector in &file.vectors {
        if !names.insert(&vector.name) {
            return Err(format!("vector {:?} is there twice", vector.name));
        }
        let script = Script::of(vector.exchanges.clone());
        let plugin = init(&vector.settings.to_string());
        let held = match (plugin, vector.refused_by_init()) {
            (Err(why), Some(part)) if why.contains(part) => Ok(()),
            (Err(why), _) => Err(format!("init refuses its settings: {why}")),
            (Ok(_), Some(_)) => Err("init takes its settings".into()),
            (Ok(plugin), None) => ask(&plugin, vector, &script)
                .and_then(|said| script.finish().map(|()| said))
                .and_then(|said| vector.compare(&said)),
        };
        if let Err(why) = held {
            wrong.push(format!("vector {:?}: {why}", vector.name));
        }
    }
    match wrong.is_empty() {
        true => Ok(file.vectors.len()),
        false => Err(wrong.join("\n\n")),
    }
}

fn input<T: DeserializeOwned>(vector: &Vector) -> Result<T, String> {
    serde_json::from_value(vector.input.clone()).map_err(|e| format!("input: {e}"))
}
