//! Who may do what to whose, as a table that a review can read and a test can compare with.

use crate::bundle::sample;
use crate::gate::{Context, Gate};
use crate::system::system_principal;
use holdfast_model::action::Resource;
use holdfast_model::principal::Proof;
use holdfast_model::{AccountId, Action, Invalid, KeyId, Principal, PrincipalId, Role, Roles};
use std::fmt::Write;

const HEAD: &str = "\
Who may do what, to whose, by the policies beside it (`holdfast policy matrix`). Everybody is of
account acme/web.

  yes     allowed
  no      denied, answered 403
  hidden  denied, answered 404: the caller may not know that it exists
";

/// Whose things, and of which account those are.
const PARTS: [(&str, &str); 3] = [
    ("own account", "acme/web"),
    ("another account of the same tenant", "acme/app"),
    ("another tenant", "umbra/web"),
];

impl Gate {
    /// The table: every role (and the first administrator, a worker of the host, nobody in
    /// particular) by every action by own, neighbouring and foreign things. Tenants say nothing for
    /// themselves in it.
    ///
    /// # Errors
    /// Nothing that happens: the names in it are constants.
    pub fn matrix(&self) -> Result<String, Invalid> {
        let everybody = everybody()?;
        let mut text = String::from(HEAD);
        for (title, of) in PARTS {
            self.part(&mut text, &everybody, (title, of), false)?;
        }
        self.part(&mut text, &everybody, ("the host", "acme/web"), true)?;
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        Ok(lines.join("\n") + "\n")
    }

    fn part(
        &self,
        text: &mut String,
        everybody: &[(&str, Principal)],
        (title, of): (&str, &str),
        of_host: bool,
    ) -> Result<(), Invalid> {
        let of = AccountId::parse(of)?;
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{title:<36}");
        for (name, _) in everybody {
            let _ = write!(text, "{name:<14}");
        }
        text.push('\n');
        for action in Action::ALL.iter().copied() {
            let on = sample(action, &of)?;
            if (on == Resource::Host) != of_host {
                continue;
            }
            let _ = write!(text, "  {:<34}", action.as_str());
            for (_, principal) in everybody {
                let word = match self.decide(principal, action, &on, &Context::default()) {
                    Ok(_) => "yes",
                    Err(denial) if denial.hidden => "hidden",
                    Err(_) => "no",
                };
                let _ = write!(text, "{word:<14}");
            }
            text.push('\n');
        }
        Ok(())
    }
}

fn everybody() -> Result<Vec<(&'static str, Principal)>, Invalid> {
    let holder = |roles: Roles| -> Result<Principal, Invalid> {
        let key = KeyId::parse("holder1")?;
        Ok(Principal {
            id: PrincipalId::of_key(&key),
            account: AccountId::parse("acme/web")?,
            roles,
            proof: Proof::Key(key),
        })
    };
    let outside = Role::ALL.into_iter().filter(|role| *role != Role::System);
    let mut all = Vec::new();
    for role in outside {
        all.push((role.as_str(), holder(Roles::NONE.with(role))?));
    }
    let first = [Role::Operator, Role::TenantAdmin, Role::TenantUser];
    all.push(("first-admin", holder(first.into_iter().collect())?));
    all.push(("worker", Principal::clone(&system_principal("kubo"))));
    all.push(("no-role", holder(Roles::NONE)?));
    Ok(all)
}
