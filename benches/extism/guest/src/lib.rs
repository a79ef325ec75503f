//! The arithmetic of `plugins/pricing-tiered` as an Extism plug-in: the same source files, with
//! JSON in and out, as its makers recommend.
//!
//! The settings come with the plug-in's configuration, and are read at an instance's first call.

#[path = "../../../../plugins/pricing-tiered/src/plan.rs"]
mod plan;
#[path = "../../../../plugins/pricing-tiered/src/rate.rs"]
mod rate;

use extism_pdk::{FnResult, Json, config, plugin_fn};
use plan::Plan;
use rate::{Quantities, RatedLine};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;

thread_local! {
    static PLAN: OnceCell<Plan> = const { OnceCell::new() };
}

/// What was used, as the host writes it.
#[derive(Deserialize)]
struct Usage {
    meters: Vec<Meter>,
}

#[derive(Deserialize)]
struct Meter {
    measure: String,
    /// JSON has no whole numbers of 128 bits.
    quantity: String,
}

#[derive(Serialize)]
struct Quote {
    lines: Vec<Line>,
    micros: i64,
    currency: String,
}

#[derive(Serialize)]
struct Line {
    item: String,
    explanation: String,
    quantity: String,
    unit: &'static str,
    micros: i64,
}

/// Prices usage.
#[plugin_fn]
pub fn rate(Json(usage): Json<Usage>) -> FnResult<Json<Quote>> {
    let quote = PLAN.with(|cell| {
        if cell.get().is_none() {
            let settings = config::get("settings")
                .map_err(|e| e.to_string())?
                .unwrap_or_else(|| "{}".into());
            // Nobody else sets it: an instance is called by one at a time.
            let _ = cell.set(Plan::parse(&settings)?);
        }
        cell.get()
            .map_or_else(|| Err("no plan".into()), |plan| quote(plan, &usage))
    });
    quote
        .map(Json)
        .map_err(|why: String| extism_pdk::Error::msg(why).into())
}

fn quote(plan: &Plan, usage: &Usage) -> Result<Quote, String> {
    let mut quantities = Quantities::default();
    for meter in &usage.meters {
        let quantity = meter
            .quantity
            .parse()
            .map_err(|e| format!("quantity: {e}"))?;
        let place = match meter.measure.as_str() {
            "storage" => &mut quantities.byte_seconds,
            "pin" => &mut quantities.pin,
            "replace" => &mut quantities.replace,
            "unpin" => &mut quantities.unpin,
            _ => continue,
        };
        if place.replace(quantity).is_some() {
            return Err(format!("{} is there twice", meter.measure));
        }
    }
    let lines: Vec<Line> = rate::rate(plan, &quantities)?
        .into_iter()
        .map(Line::from)
        .collect();
    let micros = lines
        .iter()
        .try_fold(0_i64, |sum, line| sum.checked_add(line.micros))
        .ok_or("the sum does not fit")?;
    Ok(Quote {
        lines,
        micros,
        currency: plan.currency.clone(),
    })
}

impl From<RatedLine> for Line {
    fn from(line: RatedLine) -> Self {
        Self {
            item: line.item,
            explanation: line.explanation,
            quantity: line.quantity.to_string(),
            unit: line.unit,
            micros: line.micros,
        }
    }
}
