//! What can be done, and to what.
//!
//! Each action is a value ([`Action`], for logs, metrics and policies) and a type (the [`Act`]s
//! below, for permits): a verb takes a `Permit<CreateRequest>`, so calling it without having asked
//! the policy for just that does not compile, nor does asking it about the wrong kind of thing.

use crate::account::{AccountId, TenantId};
use crate::key::KeyId;
use crate::request::RequestId;

/// An action typed: which one, and what kind of thing it is done to.
pub trait Act: Send + Sync + 'static {
    /// The action as a value.
    const ACTION: Action;
    /// What it is done to.
    type On: Clone + Into<Resource> + Send + Sync;
}

/// A pin request named together with its owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestRef {
    /// The owner.
    pub account: AccountId,
    /// The request.
    pub id: RequestId,
}

/// An API key named together with its owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyRef {
    /// The owner.
    pub account: AccountId,
    /// The key.
    pub id: KeyId,
}

/// The host itself: its pin set as a whole, its plugins, its audit log, its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Host;

/// Anything that an action can be done to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The host itself.
    Host,
    /// A tenant.
    Tenant(TenantId),
    /// An account: the container of requests, usage and keys.
    Account(AccountId),
    /// One pin request.
    Request(RequestRef),
    /// One API key.
    Key(KeyRef),
}

impl Resource {
    /// The tenant it is of; the host is of none.
    #[must_use]
    pub const fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Host => None,
            Self::Tenant(tenant) => Some(tenant),
            Self::Account(account)
            | Self::Request(RequestRef { account, .. })
            | Self::Key(KeyRef { account, .. }) => Some(account.tenant()),
        }
    }
}

impl From<Host> for Resource {
    fn from(_: Host) -> Self {
        Self::Host
    }
}

impl From<TenantId> for Resource {
    fn from(tenant: TenantId) -> Self {
        Self::Tenant(tenant)
    }
}

impl From<AccountId> for Resource {
    fn from(account: AccountId) -> Self {
        Self::Account(account)
    }
}

impl From<RequestRef> for Resource {
    fn from(request: RequestRef) -> Self {
        Self::Request(request)
    }
}

impl From<KeyRef> for Resource {
    fn from(key: KeyRef) -> Self {
        Self::Key(key)
    }
}

/// Declares the enum and one type per action, so that neither can be without the other.
macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident on $on:ty, $text:literal;)+) => {
        /// Everything that can be done, as policies, logs and metrics name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action {
            $($(#[$doc])* $name,)+
        }

        impl Action {
            /// All actions, in the order in which tables print them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name in policies, logs and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }

        $($(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Act for $name {
            const ACTION: Action = Action::$name;
            type On = $on;
        })+
    };
}

actions! {
    /// Ask for a pin.
    CreateRequest on AccountId, "createRequest";
    /// List an account's pin requests.
    ListRequests on AccountId, "listRequests";
    /// Read one pin request.
    ReadRequest on RequestRef, "readRequest";
    /// Put a new pin request in the place of an old one.
    ReplaceRequest on RequestRef, "replaceRequest";
    /// Give up a pin request.
    DeleteRequest on RequestRef, "deleteRequest";
    /// Read what an account has used.
    ReadUsage on AccountId, "readUsage";
    /// Ask what an account's usage costs.
    ReadQuote on AccountId, "readQuote";
    /// Make an API key for an account.
    CreateKey on AccountId, "createKey";
    /// List an account's API keys.
    ListKeys on AccountId, "listKeys";
    /// Revoke an API key.
    RevokeKey on KeyRef, "revokeKey";
    /// Read a tenant's attributes.
    ReadTenant on TenantId, "readTenant";
    /// Set a tenant's attributes, or make a tenant.
    WriteTenant on TenantId, "writeTenant";
    /// Read what a tenant says for itself: its own policies and its grants.
    ReadPolicies on TenantId, "readPolicies";
    /// Set or drop a tenant's own policies.
    WritePolicies on TenantId, "writePolicies";
    /// Make or revoke a grant within a tenant.
    GrantAccess on TenantId, "grantAccess";
    /// Learn why something was decided about somebody of a tenant.
    ExplainDecision on TenantId, "explainDecision";
    /// See how a candidate for the platform's policies differs on live decisions.
    ReviewPolicies on Host, "reviewPolicies";
    /// Try a candidate for the platform's policies, promote it or drop it.
    SwitchPolicies on Host, "switchPolicies";
    /// List a tenant's users.
    ListUsers on TenantId, "listUsers";
    /// Make, change and delete a tenant's users.
    WriteUsers on TenantId, "writeUsers";
    /// See which plugins are loaded and how they fare.
    ListPlugins on Host, "listPlugins";
    /// Read what a plugin logged, and how its candidate differs from it on live calls.
    ReadPlugin on Host, "readPlugin";
    /// Put a plugin into the host, or a new one in the place of an old one.
    InstallPlugin on Host, "installPlugin";
    /// Choose which generation of a plugin serves: promote a candidate, or roll back.
    SwitchPlugin on Host, "switchPlugin";
    /// Read pins of the whole set, whoever wants them.
    ReadPins on Host, "readPins";
    /// Put or remove pins as a cluster node does.
    WritePins on Host, "writePins";
    /// Read the audit log, of the host and of every tenant.
    ReadAudit on Host, "readAudit";
    /// Read what the audit log has of a tenant.
    ReadTenantAudit on TenantId, "readTenantAudit";
    /// Have the audit log signed now, and the signature pinned.
    SignAudit on Host, "signAudit";
    /// Place pins on peers, report how pinning goes, remove what has expired.
    DriveWork on Host, "driveWork";
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
