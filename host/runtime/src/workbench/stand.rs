//! A component linked as a host links it, whichever world it is of.

use super::{Proof, Trial, Vector};
use crate::bindings::authorizer::Authorizer;
use crate::bindings::authorizer::holdfast::plugin::types::{Need, Requirement};
use crate::bindings::config::Config;
use crate::bindings::payment::Payment;
use crate::bindings::pricing::Pricing;
use crate::instance::Mould;
use crate::job::{Floor, Grants, Heard, JobMould, JobStart, JobVectored};
use crate::kind::Kind;
use crate::limits::INIT_FUEL;
use crate::metrics::RuntimeMetrics;
use crate::plugin::Candidate;
use crate::registry::NotStarted;
use crate::vectors::{Vectored, Vectors};
use crate::world::Description;
use serde_json::{Value, json};
use std::sync::Arc;
use wasmtime::component::Component;

/// The number that all series of the workbench have: there is one load of everything.
pub(super) const GENERATION: u64 = 0;

/// A linked component.
pub(super) enum Stand {
    Authorizer(Mould<Authorizer>),
    Pricing(Mould<Pricing>),
    Payment(JobMould<Payment>),
    Config(JobMould<Config>),
}

/// A first instance, seen once it was started.
pub(super) struct Started {
    pub(super) description: Description,
    pub(super) needs: Vec<Need>,
    pub(super) memory_bytes: usize,
    pub(super) init_fuel: u64,
}

impl Stand {
    pub(super) fn new(
        kind: Kind,
        candidate: Candidate,
        component: &Component,
        floor: Option<Arc<Floor>>,
        grants: &Grants,
        metrics: &RuntimeMetrics,
    ) -> Result<Self, String> {
        let metrics = Arc::new(metrics.of(&candidate.name, GENERATION));
        let floor = || floor.as_ref().ok_or("has no floor for jobs");
        let (of, number) = (&candidate, GENERATION);
        Ok(match kind {
            Kind::Authorizer => Self::Authorizer(Mould::new(of, number, component, metrics)?),
            Kind::Pricing => Self::Pricing(Mould::new(of, number, component, metrics)?),
            Kind::Payment => {
                let floor = floor()?;
                let mould = JobMould::new(floor, of, number, component, grants, metrics)?;
                Self::Payment(mould)
            }
            Kind::Config => {
                let floor = floor()?;
                let mould = JobMould::new(floor, of, number, component, grants, metrics)?;
                Self::Config(mould)
            }
        })
    }

    pub(super) fn start(&self) -> Result<Started, String> {
        match self {
            Self::Authorizer(mould) => start(mould),
            Self::Pricing(mould) => start(mould),
            Self::Payment(mould) => of_job(mould.start_blocking()),
            Self::Config(mould) => of_job(mould.start_blocking()),
        }
    }

    pub(super) fn prove(&self, text: &str) -> Result<Vec<Proof>, String> {
        Ok(match self {
            Self::Authorizer(mould) => Vectors::parse(text)?.prove(mould),
            Self::Pricing(mould) => Vectors::parse(text)?.prove(mould),
            Self::Payment(mould) => mould.prove(text)?,
            Self::Config(mould) => mould.prove(text)?,
        })
    }

    pub(super) fn prove_twice(&self, text: &str) -> Result<Vec<u64>, String> {
        match self {
            Self::Authorizer(mould) => Vectors::parse(text)?.prove_twice(mould),
            Self::Pricing(mould) => Vectors::parse(text)?.prove_twice(mould),
            Self::Payment(mould) => job_twice(mould, text),
            Self::Config(mould) => job_twice(mould, text),
        }
    }

    pub(super) fn rehearse(&self, settings: &str, vector: &Vector) -> Result<Option<u64>, String> {
        let of_proof = |proof: Proof| match proof.failure {
            Some(why) => Err(why),
            None => Ok((proof.output, proof.fuel)),
        };
        let (output, fuel) = match self {
            Self::Authorizer(_) | Self::Pricing(_) => {
                // Settings or an input that are refused are no call that anybody waits for.
                let trial = self.try_once(settings, &vector.input).ok();
                trial.map_or((None, 0), |trial| (Some(trial.output), trial.fuel))
            }
            Self::Payment(mould) => of_proof(mould.prove_vector(json!(vector))?)?,
            Self::Config(mould) => of_proof(mould.prove_vector(json!(vector))?)?,
        };
        let is_answered = output.is_some_and(|output| output.get("ok").is_some());
        Ok(is_answered.then_some(fuel))
    }

    pub(super) fn try_once(&self, settings: &str, input: &Value) -> Result<Trial, String> {
        match self {
            Self::Authorizer(mould) => try_hot(mould, settings, input),
            Self::Pricing(mould) => {
                let trial = try_hot(mould, settings, input)?;
                // It asks the host nothing: all of its input matters.
                Ok(Trial {
                    asked: None,
                    ..trial
                })
            }
            Self::Payment(mould) => try_job(mould, settings, input),
            Self::Config(mould) => try_job(mould, settings, input),
        }
    }
}

fn of_job(start: Result<JobStart, NotStarted>) -> Result<Started, String> {
    let start = start.map_err(|(_, why)| why)?;
    Ok(Started {
        description: start.description,
        needs: start.needs,
        memory_bytes: start.memory_bytes,
        init_fuel: start.init_fuel,
    })
}

fn start<W: Vectored>(mould: &Mould<W>) -> Result<Started, String> {
    let (instance, description) = mould.first().map_err(|(_, why)| why)?;
    let left = instance.store.get_fuel().unwrap_or(INIT_FUEL);
    Ok(Started {
        description,
        needs: Vec::new(),
        memory_bytes: instance.store.data().held.memory_bytes(),
        init_fuel: INIT_FUEL.saturating_sub(left),
    })
}

fn try_hot<W: Vectored>(mould: &Mould<W>, settings: &str, input: &Value) -> Result<Trial, String> {
    let input = W::input(input.clone()).map_err(|why| format!("input: {why}"))?;
    let asked = mould.trial(settings, |exports, store| {
        store.data_mut().noted = Some(Vec::new());
        let before = store.get_fuel().unwrap_or_default();
        let output = exports.ask(store, &input)?;
        let fuel = before.saturating_sub(store.get_fuel().unwrap_or_default());
        Ok((output, fuel, store.data_mut().noted.take()))
    });
    let (output, fuel, asked) = asked.map_err(|fault| fault.to_string())?;
    Ok(Trial {
        output: json!(output),
        fuel,
        asked,
        heard: Heard::default(),
    })
}

fn try_job<W: JobVectored>(
    mould: &JobMould<W>,
    settings: &str,
    input: &Value,
) -> Result<Trial, String> {
    let (output, fuel, heard) = mould.record(settings, input)?;
    Ok(Trial {
        output,
        fuel,
        asked: None,
        heard,
    })
}

/// Two runs over the same exchanges. Each call has an instance of its own anyway.
fn job_twice<W: JobVectored>(mould: &JobMould<W>, text: &str) -> Result<Vec<u64>, String> {
    let (first, second) = (mould.prove(text)?, mould.prove(text)?);
    let mut fuels = Vec::new();
    for (first, second) in first.iter().zip(&second) {
        // What never answered (settings that are refused) cannot answer otherwise.
        let (Some(one), Some(other)) = (&first.output, &second.output) else {
            continue;
        };
        crate::vectors::same((one, first.fuel), (other, second.fuel))
            .map_err(|why| format!("{:?}: {why}", first.name))?;
        fuels.push(first.fuel);
    }
    Ok(fuels)
}

/// A need as the contract has it, in JSON.
pub(super) fn need(need: &Need) -> Value {
    let what = match &need.what {
        Requirement::Egress(egress) => json!({"egress": {
            "scheme": egress.scheme,
            "host": egress.host,
            "port": egress.port,
            "methods": egress.methods,
            "path_prefix": egress.path_prefix,
            "secrets": egress.secrets,
        }}),
        Requirement::Environment(prefix) => json!({ "environment": prefix }),
        Requirement::Other(what) => json!({ "other": what }),
    };
    json!({ "what": what, "reason": need.reason })
}
