//! Values of the component model as JSON and back, guided by their types: records are objects,
//! variants are a name or an object of one name, options may be left out. Names are in snake case.
//!
//! Numbers of 128 bits, which WIT spells as a record of two halves, are decimal text.

use serde_json::{Map, Value, json};
use wasmtime::component::{Type, Val};

/// How deep values may be nested: the contract's are a few levels deep.
const DEPTH_MAX: u8 = 16;

/// JSON as a value of a type; the error names the place.
pub(crate) fn to_val(ty: &Type, json: &Value) -> Result<Val, String> {
    lower(ty, json, DEPTH_MAX)
}

/// A value as JSON. What has no JSON (a resource, a float that is no number) is null.
pub(crate) fn to_json(val: &Val) -> Value {
    match val {
        Val::Bool(flag) => json!(flag),
        Val::S8(n) => json!(n),
        Val::U8(n) => json!(n),
        Val::S16(n) => json!(n),
        Val::U16(n) => json!(n),
        Val::S32(n) => json!(n),
        Val::U32(n) => json!(n),
        Val::S64(n) => json!(n),
        Val::U64(n) => json!(n),
        Val::Float32(n) => json!(n),
        Val::Float64(n) => json!(n),
        Val::Char(c) => json!(c),
        Val::String(text) | Val::Enum(text) => json!(match val {
            Val::Enum(_) => snake(text),
            _ => text.clone(),
        }),
        Val::List(items) | Val::Tuple(items) | Val::FixedLengthList(items) => {
            items.iter().map(to_json).collect()
        }
        Val::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| json!([to_json(key), to_json(value)]))
            .collect(),
        Val::Record(fields) => wide(fields).map_or_else(
            || {
                let fields = fields.iter().map(|(name, v)| (snake(name), to_json(v)));
                Value::Object(fields.collect())
            },
            |number| json!(number.to_string()),
        ),
        Val::Variant(case, None) => json!(snake(case)),
        Val::Variant(case, Some(payload)) => of_one(&snake(case), to_json(payload)),
        Val::Option(inner) => inner.as_deref().map_or(Value::Null, to_json),
        Val::Result(Ok(inner)) => of_one("ok", inner.as_deref().map_or(Value::Null, to_json)),
        Val::Result(Err(inner)) => of_one("error", inner.as_deref().map_or(Value::Null, to_json)),
        Val::Flags(names) => names.iter().map(|name| json!(snake(name))).collect(),
        Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => Value::Null,
    }
}

/// `create-request` as `create_request`.
pub(crate) fn snake(name: &str) -> String {
    name.replace('-', "_")
}

fn of_one(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

/// The number that a record of two halves is.
fn wide(fields: &[(String, Val)]) -> Option<u128> {
    match fields {
        [(high, Val::U64(top)), (low, Val::U64(bottom))] if high == "high" && low == "low" => {
            Some(u128::from(*top) << 64 | u128::from(*bottom))
        }
        _ => None,
    }
}

fn lower(ty: &Type, json: &Value, depth: u8) -> Result<Val, String> {
    let depth = depth.checked_sub(1).ok_or("is nested too deeply")?;
    Ok(match ty {
        Type::Bool => Val::Bool(
            json.as_bool()
                .ok_or_else(|| expected("true or false", json))?,
        ),
        Type::S8 => Val::S8(whole(json)?),
        Type::U8 => Val::U8(whole(json)?),
        Type::S16 => Val::S16(whole(json)?),
        Type::U16 => Val::U16(whole(json)?),
        Type::S32 => Val::S32(whole(json)?),
        Type::U32 => Val::U32(whole(json)?),
        Type::S64 => Val::S64(whole(json)?),
        Type::U64 => Val::U64(whole(json)?),
        Type::String => Val::String(text(json)?.to_owned()),
        Type::List(list) => Val::List(items(&list.ty(), json, depth)?),
        Type::Tuple(tuple) => {
            let items = json.as_array().ok_or_else(|| expected("a list", json))?;
            let types = tuple.types();
            if types.len() != items.len() {
                return Err(format!("must be a list of {}", types.len()));
            }
            let pairs = types.zip(items);
            Val::Tuple(
                pairs
                    .map(|(ty, item)| lower(&ty, item, depth))
                    .collect::<Result<_, _>>()?,
            )
        }
        Type::Record(record) => {
            let fields: Vec<(String, Type)> = record
                .fields()
                .map(|field| (field.name.to_owned(), field.ty))
                .collect();
            record_of(&fields, json, depth)?
        }
        Type::Variant(variant) => {
            let cases: Vec<(String, Option<Type>)> = variant
                .cases()
                .map(|case| (case.name.to_owned(), case.ty))
                .collect();
            variant_of(&cases, json, depth)?
        }
        Type::Enum(names) => {
            let said = text(json)?;
            let name = names.names().find(|name| snake(name) == said);
            Val::Enum(
                name.ok_or_else(|| format!("has no case {said:?}"))?
                    .to_owned(),
            )
        }
        Type::Option(_) if json.is_null() => Val::Option(None),
        Type::Option(inner) => Val::Option(Some(Box::new(lower(&inner.ty(), json, depth)?))),
        Type::Result(result) => result_of(result.ok(), result.err(), json, depth)?,
        Type::Flags(_)
        | Type::Float32
        | Type::Float64
        | Type::Char
        | Type::Map(_)
        | Type::Own(_)
        | Type::Borrow(_)
        | Type::Future(_)
        | Type::Stream(_)
        | Type::ErrorContext
        | Type::FixedLengthList(_) => return Err("has a type that no vector can hold".into()),
    })
}

/// A list; one of pairs of texts may also be written as an object.
fn items(ty: &Type, json: &Value, depth: u8) -> Result<Vec<Val>, String> {
    if let (Type::Tuple(_), Value::Object(pairs)) = (ty, json) {
        return pairs
            .iter()
            .map(|(key, value)| lower(ty, &json!([key, value]), depth).map_err(at(key)))
            .collect();
    }
    let items = json.as_array().ok_or_else(|| expected("a list", json))?;
    let numbered = items.iter().enumerate();
    numbered
        .map(|(n, item)| lower(ty, item, depth).map_err(at(&n.to_string())))
        .collect()
}

fn record_of(fields: &[(String, Type)], json: &Value, depth: u8) -> Result<Val, String> {
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    if names == ["high", "low"]
        && let Some(number) = number_of_text(json)
    {
        let (high, low) = crate::facts::halves(number);
        return Ok(Val::Record(vec![
            ("high".into(), Val::U64(high)),
            ("low".into(), Val::U64(low)),
        ]));
    }
    let object = json
        .as_object()
        .ok_or_else(|| expected("an object", json))?;
    let stranger = object
        .keys()
        .find(|key| !names.iter().any(|name| snake(name) == **key));
    if let Some(key) = stranger {
        let known: Vec<String> = names.iter().map(|name| snake(name)).collect();
        return Err(format!(
            "has no field {key:?}; there are {}",
            known.join(", ")
        ));
    }
    let field = |(name, ty): &(String, Type)| {
        let key = snake(name);
        let value = object.get(&key).unwrap_or(&Value::Null);
        let is_missing = value.is_null() && !matches!(ty, Type::Option(_));
        if is_missing {
            return Err(format!("{key}: is missing"));
        }
        Ok((name.clone(), lower(ty, value, depth).map_err(at(&key))?))
    };
    fields
        .iter()
        .map(field)
        .collect::<Result<_, _>>()
        .map(Val::Record)
}

fn variant_of(cases: &[(String, Option<Type>)], json: &Value, depth: u8) -> Result<Val, String> {
    let (said, payload) = match json {
        Value::String(name) => (name.as_str(), None),
        Value::Object(object) if object.len() == 1 => {
            let (name, payload) = object.iter().next().ok_or("is empty")?;
            (name.as_str(), Some(payload))
        }
        _ => return Err(expected("a case's name, or an object of one case", json)),
    };
    let found = cases.iter().find(|(name, _)| snake(name) == said);
    let (name, ty) = found.ok_or_else(|| {
        let known: Vec<String> = cases.iter().map(|(name, _)| snake(name)).collect();
        format!("has no case {said:?}; there are {}", known.join(", "))
    })?;
    let payload = match (ty, payload) {
        (None, None) => None,
        (Some(ty), Some(payload)) => Some(Box::new(lower(ty, payload, depth).map_err(at(said))?)),
        (None, Some(_)) => return Err(format!("{said}: has no value")),
        (Some(_), None) => return Err(format!("{said}: needs a value")),
    };
    Ok(Val::Variant(name.clone(), payload))
}

fn result_of(
    ok: Option<Type>,
    error: Option<Type>,
    json: &Value,
    depth: u8,
) -> Result<Val, String> {
    let side = |ty: Option<Type>, value: &Value| {
        ty.map(|ty| lower(&ty, value, depth).map(Box::new))
            .transpose()
    };
    let object = json.as_object().filter(|object| object.len() == 1);
    match object.and_then(|object| object.iter().next()) {
        Some((name, value)) if name == "ok" => Ok(Val::Result(Ok(side(ok, value)?))),
        Some((name, value)) if name == "error" => Ok(Val::Result(Err(side(error, value)?))),
        _ => Err(expected("{\"ok\": …} or {\"error\": …}", json)),
    }
}

fn number_of_text(json: &Value) -> Option<u128> {
    match json {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64().map(u128::from),
        _ => None,
    }
}

fn whole<T: TryFrom<i128>>(json: &Value) -> Result<T, String> {
    let number = json.as_u64().map(i128::from);
    let number = number.or_else(|| json.as_i64().map(i128::from));
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| expected("a whole number within the bounds of its type", json))
}

fn text(json: &Value) -> Result<&str, String> {
    json.as_str().ok_or_else(|| expected("a text", json))
}

fn expected(what: &str, json: &Value) -> String {
    let shown: String = json.to_string().chars().take(40).collect();
    format!("must be {what}, and is {shown}")
}

fn at(place: &str) -> impl Fn(String) -> String {
    let place = place.to_owned();
    move |why| match why.split_once(": ") {
        // Only places are words: `lines.0.amount: must be …`.
        Some((inner, rest)) if !inner.contains(' ') => format!("{place}.{inner}: {rest}"),
        _ => format!("{place}: {why}"),
    }
}
