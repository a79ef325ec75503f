//! Golden vectors: what a plugin answers to what, shipped beside it as `NAME.vectors.json`.
//!
//! A candidate is asked all of them before it may serve, each on an instance of its own that has
//! the vector's settings. The JSON mirrors the types in `wit/`: names in snake case, cases without
//! payload as text, numbers of 128 bits as decimal text.

mod authorizer;
mod decimal;
mod pricing;

use crate::error::Fault;
use crate::guest::{Guest, printable};
use crate::instance::Mould;
use crate::kind::Kind;
use crate::plugin::Plugin;
use crate::workbench::Proof;
use crate::world::World;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};
use wasmtime::Store;

/// Largest file: some thousand vectors with a few hundred bytes each.
pub(crate) const VECTORS_BYTES_MAX: usize = 1 << 20;

/// Vectors in a file: each makes an instance.
const VECTORS_MAX: usize = 1_000;

/// Bytes of a vector's name: it stands in messages.
const NAME_BYTES_MAX: usize = 200;

/// All vectors of a file must be through by then: somebody waits for the plugin.
const TIME_MAX: Duration = Duration::from_secs(30);

/// Failures that are told one by one; the others are counted.
const TOLD_MAX: usize = 3;

/// A world whose plugins can be asked by vectors.
pub(crate) trait Vectored: World {
    /// What is asked, ready to be handed over.
    type Input;

    /// Reads what is asked.
    fn input(written: Value) -> Result<Self::Input, String>;

    /// Reads an answer and writes it again, so that equal answers are equal JSON.
    fn output(written: Output) -> Result<Output, String>;

    /// Asks.
    fn ask(&self, store: &mut Store<Guest>, input: &Self::Input) -> Result<Output, Fault>;
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Output {
    /// The outer result is good.
    Ok(Value),
    /// It is an error.
    Error(Value),
}

impl Default for Output {
    fn default() -> Self {
        Self::Ok(Value::Null)
    }
}

/// How one vector came out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VectorOutcome {
    /// Which.
    pub name: String,
    /// What differs, if it does.
    pub failure: Option<String>,
}

/// The vectors of one file.
pub(crate) struct Vectors<W: Vectored>(Vec<Vector<W>>);

struct Vector<W: Vectored> {
    name: String,
    settings: String,
    input: W::Input,
    expected: Expected,
}

/// What must come out.
enum Expected {
    Answer(Output),
    /// `init` refuses the settings with a text in which this one is found.
    Init(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<V> {
    kind: Kind,
    vectors: Vec<V>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    settings: Map<String, Value>,
    input: Value,
    output: Output,
}

/// Reads a file of vectors, which must be for this kind.
pub(crate) fn read_file<V: DeserializeOwned>(text: &str, kind: Kind) -> Result<Vec<V>, String> {
    let file: File<V> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if file.kind != kind {
        return Err(format!(
            "kind: is {}, and the component is {kind}; write the component's",
            file.kind
        ));
    }
    if file.vectors.len() > VECTORS_MAX {
        return Err(format!(
            "has {} vectors; write at most {VECTORS_MAX}",
            file.vectors.len()
        ));
    }
    Ok(file.vectors)
}

/// Asks one vector after the other; those that time is over for are not asked, and say so.
pub(crate) fn ask_all<V>(
    vectors: impl IntoIterator<Item = V>,
    name: impl Fn(&V) -> String,
    ask: impl Fn(V) -> Result<(), String>,
) -> Vec<VectorOutcome> {
    let start = Instant::now();
    let outcome = |vector| VectorOutcome {
        name: name(&vector),
        failure: match start.elapsed() < TIME_MAX {
            true => ask(vector).err(),
            false => Some(format!(
                "not asked: the vectors before it took {} seconds; write fewer or quicker ones",
                TIME_MAX.as_secs()
            )),
        },
    };
    vectors.into_iter().map(outcome).collect()
}

impl<W: Vectored> Vectors<W> {
    /// Reads a file. The error says which vector and what to write.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let vectors = read_file::<Written>(text, W::KIND)?
            .into_iter()
            .zip(1_usize..);
        vectors
            .map(|(written, number)| {
                let name = written.name.clone();
                Vector::read(written).map_err(|why| format!("vector {number} ({name:?}): {why}"))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Asks a plugin all of them.
    pub(crate) fn run(&self, plugin: &Plugin<W>) -> Vec<VectorOutcome> {
        let name = |vector: &&Vector<W>| vector.name.clone();
        ask_all(&self.0, name, |vector| vector.run(plugin))
    }

    /// Asks instances of a mould all of them, and counts their fuel.
    pub(crate) fn prove(&self, mould: &Mould<W>) -> Vec<Proof> {
        self.0.iter().map(|vector| vector.prove(mould)).collect()
    }

    /// Asks each vector's question of two instances, and of one of them once more.
    pub(crate) fn prove_twice(&self, mould: &Mould<W>) -> Result<Vec<u64>, String> {
        let answers = self
            .0
            .iter()
            .filter(|v| matches!(v.expected, Expected::Answer(_)));
        answers
            .map(|vector| {
                let fuel = vector.prove_twice(mould);
                fuel.map_err(|why| format!("{:?}: {why}", vector.name))
            })
            .collect()
    }
}

/// Whether two answers to one question are the same and took the same fuel.
pub(crate) fn same(first: (&Value, u64), second: (&Value, u64)) -> Result<(), String> {
    if first.0 != second.0 {
        return Err(format!(
            "the same input gave {} and then {}; it must depend on nothing else",
            printable(&first.0.to_string()),
            printable(&second.0.to_string())
        ));
    }
    match first.1 == second.1 {
        true => Ok(()),
        false => Err(format!(
            "the same input took {} instructions and then {}; something in it is random",
            first.1, second.1
        )),
    }
}

/// What is wrong with a plugin that failed its vectors, if it did; for the operator.
pub(crate) fn complaint(outcomes: &[VectorOutcome]) -> Option<String> {
    let failures: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| Some(format!("{}: {}", outcome.name, outcome.failure.as_ref()?)))
        .collect();
    if failures.is_empty() {
        return None;
    }
    let told = failures.iter().take(TOLD_MAX).map(String::as_str);
    let told: Vec<&str> = told.collect();
    let more = match failures.len().saturating_sub(TOLD_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Some(format!(
        "fails {} of {} golden vectors: {}{more}",
        failures.len(),
        outcomes.len(),
        told.join("; ")
    ))
}

impl<W: Vectored> Vector<W> {
    fn read(written: Written) -> Result<Self, String> {
        if written.name.len() > NAME_BYTES_MAX || written.name.chars().any(char::is_control) {
            return Err(format!(
                "name: write at most {NAME_BYTES_MAX} bytes without control characters"
            ));
        }
        let refusal = match &written.output {
            Output::Error(error) => error.get("init").and_then(Value::as_str),
            Output::Ok(_) => None,
        };
        let expected = match refusal {
            Some(text) => Expected::Init(text.to_owned()),
            None => {
                Expected::Answer(W::output(written.output).map_err(|why| format!("output: {why}"))?)
            }
        };
        Ok(Self {
            name: written.name,
            settings: Value::Object(written.settings).to_string(),
            input: W::input(written.input).map_err(|why| format!("input: {why}"))?,
            expected,
        })
    }

    fn run(&self, plugin: &Plugin<W>) -> Result<(), String> {
        let asked = plugin.trial(&self.settings, |exports, store| {
            exports.ask(store, &self.input)
        });
        self.judge(asked.as_ref())
    }

    fn prove(&self, mould: &Mould<W>) -> Proof {
        let asked = self.ask_times(mould, 1).map(|mut answers| answers.pop());
        let asked = asked.map(Option::unwrap_or_default);
        let fuel = asked.as_ref().map_or(0, |(_, fuel)| *fuel);
        let asked = asked.map(|(output, _)| output);
        Proof {
            name: self.name.clone(),
            failure: self.judge(asked.as_ref()).err(),
            output: asked.ok().map(|output| write(&output)),
            fuel,
        }
    }

    fn prove_twice(&self, mould: &Mould<W>) -> Result<u64, String> {
        let ask = |times| {
            let answers = self
                .ask_times(mould, times)
                .map_err(|fault| fault.to_string())?;
            let written = answers
                .into_iter()
                .map(|(output, fuel)| (write(&output), fuel));
            Ok::<Vec<(Value, u64)>, String>(written.collect())
        };
        let (one, other) = (ask(2)?, ask(1)?);
        let (Some((first, fuel)), Some((second, again))) = (one.first(), other.first()) else {
            return Ok(0);
        };
        same((first, *fuel), (second, *again))?;
        match one.get(1) {
            Some((again, _)) if again != first => Err(format!(
                "called a second time, the same instance gave {} after {}; keep nothing of one \
                 call for the next",
                printable(&again.to_string()),
                printable(&first.to_string())
            )),
            _ => Ok(*fuel),
        }
    }

    /// Asks one instance so many times; what each answered, and the fuel that it took.
    fn ask_times(&self, mould: &Mould<W>, times: usize) -> Result<Vec<(Output, u64)>, Fault> {
        let tank = mould.limits.fuel;
        mould.trial(&self.settings, |exports, store| {
            let mut answers = Vec::new();
            for _ in 0..times {
                store.set_fuel(tank)?;
                let output = exports.ask(store, &self.input)?;
                answers.push((output, tank.saturating_sub(store.get_fuel()?)));
            }
            Ok(answers)
        })
    }

    fn judge(&self, asked: Result<&Output, &Fault>) -> Result<(), String> {
        match (asked, &self.expected) {
            (Err(Fault::Refused(why)), Expected::Init(text)) if why.contains(text) => Ok(()),
            (Err(fault), Expected::Init(text)) => Err(format!(
                "init must refuse the settings with {text:?}, and: {fault}"
            )),
            (Ok(_), Expected::Init(text)) => Err(format!(
                "init must refuse the settings with {text:?}, and took them"
            )),
            (Err(fault), Expected::Answer(_)) => Err(fault.to_string()),
            (Ok(found), Expected::Answer(expected)) => match (expected, found) {
                (Output::Ok(expected), Output::Ok(found))
                | (Output::Error(expected), Output::Error(found)) => {
                    difference("", expected, found).map_or(Ok(()), Err)
                }
                (Output::Ok(_), Output::Error(found)) => Err(format!(
                    "an answer is expected, and it is the error {found}"
                )),
                (Output::Error(_), Output::Ok(found)) => {
                    Err(format!("an error is expected, and it is {found}"))
                }
            },
        }
    }
}

/// Where two values first differ, and how.
pub(crate) fn difference(at: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) if expected.len() == found.len() => {
            expected.iter().find_map(|(key, value)| {
                let at = format!("{at}.{key}");
                let other = found.get(key).unwrap_or(&Value::Null);
                difference(&at, value, other)
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let pairs = expected.iter().zip(found).zip(0_usize..);
            pairs
                .into_iter()
                .find_map(|((value, other), n)| difference(&format!("{at}[{n}]"), value, other))
        }
        _ if expected == found => None,
        _ => Some(format!(
            "{} is {found}, and must be {expected}",
            match at.trim_start_matches('.') {
                "" => "the answer",
                at => at,
            }
        )),
    }
}

/// Reads a value of a type of ours.
fn read<T: DeserializeOwned>(written: Value) -> Result<T, String> {
    serde_json::from_value(written).map_err(|e| e.to_string())
}

/// Writes a value of a type of ours. It cannot fail: keys are text, and numbers fit.
fn write<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::authorizer::Authorizer;
    use crate::bindings::pricing::Pricing;
    use serde_json::json;

    #[test]
    fn what_is_not_the_same_twice_is_named() {
        let (one, other) = (json!({"ok": 1}), json!({"ok": 2}));
        assert_eq!(same((&one, 5), (&one.clone(), 5)), Ok(()));
        let why = same((&one, 5), (&other, 5)).unwrap_err();
        assert!(why.contains("depend on nothing else"), "{why}");
        let why = same((&one, 5), (&one.clone(), 6)).unwrap_err();
        assert!(why.contains("5 instructions and then 6"), "{why}");
    }

    #[test]
    fn what_differs_is_named() {
        let expected = json!({"lines": [{"a": 1}, {"a": 2}], "total": "x"});
        for (found, said) in [
            (
                json!({"lines": [{"a": 1}, {"a": 3}], "total": "x"}),
                "lines[1].a is 3, and must be 2",
            ),
            (
                json!({"lines": [{"a": 1}], "total": "x"}),
                "lines is [{\"a\":1}]",
            ),
            (json!("no"), "the answer is \"no\""),
        ] {
            let told = difference("", &expected, &found).unwrap();
            assert!(told.contains(said), "{told}");
        }
        assert_eq!(difference("", &expected, &expected), None);
    }

    #[test]
    fn what_is_no_vector_is_refused_with_its_place() {
        let one = |input: Value, output: Value| json!({"kind": "pricing", "vectors": [{"name": "n", "input": input, "output": output}]});
        let good = json!({"account": "acme/web", "meters": []});
        let paid = json!({"ok": {"lines": [], "total": {"micros": 0, "currency": "EUR"}}});
        let parse = |file: &Value| Vectors::<Pricing>::parse(&file.to_string());
        assert_eq!(parse(&one(good.clone(), paid.clone())).unwrap().len(), 1);
        for (file, said) in [
            (json!({"kind": "authorizer", "vectors": []}), "kind: is"),
            (json!({"kind": "pricing"}), "vectors"),
            (json!({"kind": "pricing", "vectors": [], "more": 1}), "more"),
            (
                one(json!({"accounts": 1}), paid.clone()),
                "vector 1 (\"n\"): input",
            ),
            (one(good.clone(), json!({"ok": "allow"})), "output"),
            (
                one(good.clone(), json!({"error": {"unheard": ""}})),
                "unheard",
            ),
            (
                one(
                    json!({"account": "a/b", "meters": [{"measure": "pin", "quantity": "-1"}]}),
                    paid,
                ),
                "decimal",
            ),
        ] {
            let refused = parse(&file).err().unwrap();
            assert!(refused.contains(said), "{refused}");
        }
        let call = json!({"kind": "authorizer", "vectors": [
            {"name": "n", "input": {"action": "fly"}, "output": {"ok": "allow"}}]});
        let refused = Vectors::<Authorizer>::parse(&call.to_string())
            .err()
            .unwrap();
        assert!(refused.contains("fly"), "{refused}");
    }

    #[test]
    fn failures_are_told_and_counted() {
        let outcome = |n: usize| VectorOutcome {
            name: n.to_string(),
            failure: (n > 0).then(|| "differs".to_owned()),
        };
        let outcomes: Vec<_> = (0..6).map(outcome).collect();
        let told = complaint(&outcomes).unwrap();
        assert!(
            told.starts_with("fails 5 of 6 golden vectors: 1: differs;"),
            "{told}"
        );
        assert!(told.ends_with("and 2 more"), "{told}");
        assert_eq!(complaint(&outcomes[..1]), None);
    }
}
