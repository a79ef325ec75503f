//! When a tenant may change its pins: on which days, from when to when, in which offset from UTC.
//!
//! The attribute `time_window` of the tenant says so: `mon-fri 08:00-18:00 +01:00`, several with
//! semicolons between. A tenant without one has the default of the settings; without a default
//! there is no bound. An attribute that cannot be read refuses.

mod window;

use holdfast_plugin::authorizer::{Action, Authorizer, Call, Decision, Level, Metadata, log};
use serde::Deserialize;
use window::Windows;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The name of the attribute.
    attribute: String,
    /// The windows of tenants without it.
    default: Option<String>,
    /// What is bound, by the names that policies use.
    actions: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attribute: "time_window".into(),
            default: None,
            actions: ["createRequest", "replaceRequest", "deleteRequest"]
                .map(str::to_owned)
                .into(),
        }
    }
}

struct TimeWindow {
    settings: Settings,
    default: Option<Windows>,
}

impl Authorizer for TimeWindow {
    fn describe() -> Metadata {
        Metadata {
            name: "authorizer-time-window".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "lets tenants change pins in their windows of time only".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let settings: Settings = holdfast_plugin::settings::parse(settings)?;
        if settings.attribute.is_empty() {
            return Err("attribute: write the name of the tenants' attribute".into());
        }
        let known = |name: &String| {
            ["createRequest", "replaceRequest", "deleteRequest"].contains(&name.as_str())
        };
        if let Some(unknown) = settings.actions.iter().find(|name| !known(name)) {
            return Err(format!(
                "actions: {unknown:?} is none that authorizers are asked about; write createRequest, \
                 replaceRequest or deleteRequest"
            ));
        }
        let default = settings.default.as_deref().map(Windows::parse).transpose();
        let default = default.map_err(|e| format!("default: {e}"))?;
        Ok(Self { settings, default })
    }

    fn authorize(&self, call: &Call) -> Decision {
        let name = match call.action() {
            Action::CreateRequest => "createRequest",
            Action::ReplaceRequest => "replaceRequest",
            Action::DeleteRequest => "deleteRequest",
            _ => return Decision::Allow,
        };
        if !self.settings.actions.iter().any(|bound| bound == name) {
            return Decision::Allow;
        }
        let Some(text) = call.attribute(&self.settings.attribute) else {
            return match &self.default {
                Some(windows) => decide(windows, call.time()),
                None => Decision::Allow,
            };
        };
        match Windows::parse(&text) {
            Ok(windows) => decide(&windows, call.time()),
            Err(why) => {
                let attribute = &self.settings.attribute;
                log(
                    Level::Warn,
                    &format!("tenant {}: attribute {attribute}: {why}", call.tenant()),
                );
                Decision::forbidden(format!(
                    "the attribute {attribute} cannot be read; ask the operator to correct it"
                ))
            }
        }
    }
}

fn decide(windows: &Windows, time: u64) -> Decision {
    match windows.is_open(time) {
        true => Decision::Allow,
        false => Decision::forbidden(format!(
            "pins may be changed in the window {windows} only, and it is {} there; try again then",
            windows.local(time)
        )),
    }
}

holdfast_plugin::export_authorizer!(TimeWindow);

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_testkit::CallFacts;

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::authorizer::<TimeWindow>(vectors).unwrap() >= 8);
    }

    #[test]
    fn wrong_settings_are_named() {
        for (settings, named) in [
            (r#"{"attribute": ""}"#, "attribute"),
            (r#"{"default": "always"}"#, "default"),
            (r#"{"actions": ["listRequests"]}"#, "actions"),
            (r#"{"window": "x"}"#, "window"),
        ] {
            let refused = TimeWindow::init(settings).err().unwrap();
            assert!(refused.contains(named), "{settings}: {refused}");
        }
    }

    #[test]
    fn an_attribute_that_cannot_be_read_refuses() {
        let plugin = TimeWindow::init("{}").unwrap();
        for text in ["", "always", "mon 25:00-26:00 Z", "mon 08:00-08:00 Z"] {
            let facts = CallFacts::new(Action::CreateRequest).attribute("time_window", text);
            let Decision::Deny(reason) = plugin.authorize(&facts.call()) else {
                panic!("allowed {text:?}");
            };
            assert!(reason.message.contains("time_window"), "{}", reason.message);
        }
    }
}
