//! A policy's conditions, each by itself.

use cedar_policy::pst::{BinaryOp, Clause, Expr};
use cedar_policy::{Policy, PolicyId};
use std::sync::Arc;

/// Conditions of one policy that are looked at. A policy has 10,000 bytes at most.
const CONDITIONS_MAX: usize = 64;

/// One condition, as a policy that permits just if it is met.
pub(super) struct Condition {
    /// As it would be written.
    pub(super) text: String,
    pub(super) policy: Policy,
}

/// Takes a policy's conditions apart: `when` at its `&&`s, `unless` at its `||`s.
pub(super) fn conditions(policy: &Policy) -> Vec<Condition> {
    let Ok(tree) = policy.to_pst() else {
        return Vec::new();
    };
    let mut parts = Vec::new();
    for clause in tree.body().clauses() {
        match clause {
            Clause::When(expr) => apart(expr, BinaryOp::And, &mut |part| {
                parts.push(part.to_string());
            }),
            Clause::Unless(expr) => apart(expr, BinaryOp::Or, &mut |part| {
                parts.push(format!("!({part})"));
            }),
        }
    }
    parts.truncate(CONDITIONS_MAX);
    let whole = parts.into_iter().filter_map(|text| {
        // The text is what Cedar prints of a tree that it has read, nothing of a caller's.
        let alone = format!("permit (principal, action, resource) when {{ {text} }};");
        let policy = Policy::parse(Some(PolicyId::new("condition")), alone).ok()?;
        Some(Condition { text, policy })
    });
    whole.collect()
}

fn apart(expr: &Arc<Expr>, at: BinaryOp, each: &mut dyn FnMut(&Expr)) {
    match &**expr {
        Expr::BinaryOp { op, left, right } if *op == at => {
            apart(left, at, each);
            apart(right, at, each);
        }
        whole => each(whole),
    }
}
