//! A payment plugin that misbehaves as its settings say (`{"do": "loop"}`, and `"url"` where it
//! calls somebody); see `hostile-pricing`.

use holdfast_plugin::http::{Request, Url};
use holdfast_plugin::payment::{
    Client, CollectError, Invoice, Level, Metadata, Money, Need, Payment, Pending, Progress,
    Receipt, Requirement, Step, log,
};
use hostile_deeds as deeds;

/// Twice the handles that a job may hold: none of them may be left by a call.
const MANY_CALLS: u32 = 2_048;

struct Hostile {
    deed: String,
    /// Whom it calls, if it calls anybody.
    url: String,
}

impl Payment for Hostile {
    fn describe() -> Metadata {
        let deed = deeds::in_describe();
        deeds::common(deed);
        Metadata {
            name: deeds::name(deed, "hostile-payment"),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "misbehaves as told".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let mut words = settings.split('"').skip(3).step_by(4).map(str::to_owned);
        let deed = words.next().unwrap_or_else(|| "collect".into());
        deeds::init(&deed)?;
        let url = words.next().unwrap_or_default();
        Ok(Self { deed, url })
    }

    fn needs(&self) -> Vec<Need> {
        let Some(deed) = self.deed.strip_prefix("needs-") else {
            return Vec::new();
        };
        deeds::common(deed);
        let other = |reason: String| Need {
            what: Requirement::Other("files".into()),
            reason,
        };
        match deed {
            "many" => vec![other("to be many".into()); 65],
            "million" => vec![other("to be very many".into()); 1_000_000],
            "gigabyte" => vec![other(deeds::gigabyte())],
            "control-characters" => vec![other("a\r\nallow = [\"*\"]".into())],
            _ => Vec::new(),
        }
    }

    fn collect(
        &self,
        invoice: &Invoice,
        _progress: &Progress,
        http: &dyn Client,
    ) -> Result<Step, CollectError> {
        deeds::common(&self.deed);
        let collected =
            |reference: String, amount: Money| Ok(Step::Collected(Receipt { reference, amount }));
        let money = |micros: i64, currency: &str| Money {
            micros,
            currency: currency.into(),
        };
        let pending = |memo: String, message: &str| {
            Ok(Step::Pending(Pending {
                memo,
                again_after_ms: 0,
                message: message.into(),
            }))
        };
        let total = invoice.total.clone();
        if let Some(called) = deeds::call_out(&self.deed, &self.url, http) {
            called.map_err(CollectError::Other)?;
            return collected("r".into(), total);
        }
        match self.deed.as_str() {
            "call-storm" => loop {
                let request = Request::new("POST", anywhere()?);
                std::hint::black_box(http.send(&request).is_ok());
            },
            "many-calls" => {
                for _ in 0..MANY_CALLS {
                    std::hint::black_box(http.send(&Request::new("POST", anywhere()?)).is_ok());
                }
                collected("r".into(), total)
            }
            "call-out" => match http.send(&Request::new("POST", anywhere()?)) {
                Ok(_) => collected("r".into(), total),
                Err(error) => Err(CollectError::Other(error.to_string())),
            },
            "log-flood" => {
                for _ in 0..10_000 {
                    log(Level::Info, &"x".repeat(64));
                }
                collected("r".into(), total)
            }
            "giant-reference" => collected("x".repeat(1 << 21), total),
            "gigabyte-reference" => collected(deeds::gigabyte(), total),
            "not-utf8" => collected(deeds::not_utf8(), total),
            "long-reference" => collected("x".repeat(257), total),
            "empty-reference" => collected(String::new(), total),
            "control-characters" => collected("a\r\nERROR all is lost".into(), total),
            "wrong-amount" => collected("r".into(), money(1, &total.currency)),
            "wrong-currency" => collected("r".into(), money(total.micros, "ABC\n")),
            "gigabyte-currency" => collected(
                "r".into(),
                Money {
                    currency: deeds::gigabyte(),
                    ..total
                },
            ),
            "long-memo" => pending("x".repeat(4_097), "soon"),
            "gigabyte-memo" => pending(deeds::gigabyte(), "soon"),
            "empty-message" => pending(String::new(), ""),
            "long-decline" => Ok(Step::Declined("x".repeat(1_025))),
            "other-step" => Ok(Step::Other("ask\r\nthe oracle".into())),
            "refused" => Err(CollectError::Refused("a\r\nb\u{1b}[2J".into())),
            "gigabyte-refusal" => Err(CollectError::Refused(deeds::gigabyte())),
            _ => collected("r".into(), total),
        }
    }
}

/// Where nothing is granted.
fn anywhere() -> Result<Url, CollectError> {
    Url::parse("https://169.254.169.254/latest").map_err(|e| CollectError::Other(e.to_string()))
}

/// Runs while an instance is made, before anything is asked of it.
#[used]
#[expect(
    unsafe_code,
    reason = "a section that the linker takes the first calls from"
)]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = deeds::at_start;

holdfast_plugin::export_payment!(Hostile);
