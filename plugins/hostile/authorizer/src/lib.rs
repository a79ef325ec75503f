//! An authorizer that misbehaves as its settings say (`{"do": "loop"}`); see `hostile-pricing`.

use holdfast_plugin::authorizer::{
    Authorizer, Call, Cause, Decision, Level, Metadata, Reason, log,
};

struct Hostile {
    deed: String,
}

impl Authorizer for Hostile {
    fn describe() -> Metadata {
        Metadata {
            name: "hostile-authorizer".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "misbehaves as told".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let deed = settings.split('"').nth(3).unwrap_or("allow").to_owned();
        Ok(Self { deed })
    }

    fn authorize(&self, call: &Call) -> Decision {
        match self.deed.as_str() {
            "loop" => loop {
                std::hint::black_box(call.request_count());
            },
            "trap" => std::process::abort(),
            "giant-message" => Decision::forbidden("x".repeat(1 << 20)),
            "long-message" => Decision::forbidden("x".repeat(1_025)),
            "control-characters" => Decision::forbidden("no\r\nset-cookie: yes"),
            "other-cause" => Decision::Deny(Reason {
                cause: Cause::Other("on holiday".into()),
                message: "not today".into(),
            }),
            "log-flood" => {
                for _ in 0..10_000 {
                    log(Level::Info, &"x".repeat(4_096));
                }
                Decision::Allow
            }
            "echo" => Decision::forbidden(facts(call)),
            _ => Decision::Allow,
        }
    }
}

/// Everything that can be asked, in one line: shows the host's side of each getter.
fn facts(call: &Call) -> String {
    format!(
        "{:?} {} {} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {} {} {:?} {}",
        call.action(),
        call.principal(),
        call.has_role("tenant-user"),
        call.account(),
        call.tenant(),
        call.attribute("plan"),
        call.attribute("none"),
        call.attribute_number("quota_bytes"),
        call.attribute_number("plan"),
        call.cid(),
        call.meta("app"),
        call.request_count(),
        u128::from(call.pinned_bytes()),
        call.dag_size(),
        call.time(),
    )
}

holdfast_plugin::export_authorizer!(Hostile);
