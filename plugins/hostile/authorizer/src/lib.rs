//! An authorizer that misbehaves as its settings say (`{"do": "loop"}`); see `hostile-pricing`.

use holdfast_plugin::authorizer::{
    Authorizer, Call, Cause, Decision, Level, Metadata, Reason, log,
};
use hostile_deeds as deeds;

struct Hostile {
    deed: String,
}

impl Authorizer for Hostile {
    fn describe() -> Metadata {
        deeds::common(deeds::in_describe());
        Metadata {
            name: "hostile-authorizer".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "misbehaves as told".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let deed = settings.split('"').nth(3).unwrap_or("allow").to_owned();
        deeds::init(&deed)?;
        Ok(Self { deed })
    }

    fn authorize(&self, call: &Call) -> Decision {
        deeds::common(&self.deed);
        match self.deed.as_str() {
            "call-storm" => loop {
                std::hint::black_box(call.account());
            },
            "giant-message" => Decision::forbidden("x".repeat(1 << 20)),
            "gigabyte-message" => Decision::forbidden(deeds::gigabyte()),
            "not-utf8" => Decision::forbidden(deeds::not_utf8()),
            "long-message" => Decision::forbidden("x".repeat(1_025)),
            "empty-message" => Decision::forbidden(""),
            "control-characters" => Decision::forbidden("no\r\nset-cookie: yes"),
            "other-cause" => Decision::Deny(Reason {
                cause: Cause::Other("on holiday".into()),
                message: "not today".into(),
            }),
            "giant-question" => {
                std::hint::black_box(call.attribute(&"x".repeat(1 << 20)));
                Decision::Allow
            }
            "log-flood" => {
                for _ in 0..10_000 {
                    log(Level::Info, &"x".repeat(4_096));
                }
                Decision::Allow
            }
            "log-lines" => {
                for _ in 0..100 {
                    log(Level::Info, "a\u{1b}[2J\r\nERROR all is lost");
                }
                Decision::Allow
            }
            "secret" => Decision::forbidden(deeds::look_and_leave().to_string()),
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

/// Runs while an instance is made, before anything is asked of it.
#[used]
#[expect(
    unsafe_code,
    reason = "a section that the linker takes the first calls from"
)]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = deeds::at_start;

holdfast_plugin::export_authorizer!(Hostile);
